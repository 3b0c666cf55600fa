"""The metadata of the distribution: what an index of packages shows."""

import tomllib

import pytest

from support.places import REPOSITORY

pytestmark = pytest.mark.once
ADDRESS = "https://example.org/resnext/blob/main"


def core_metadata(address: str):
    core = pytest.importorskip("hatchling.metadata.core", reason="hatchling builds the package")
    manager = pytest.importorskip("hatchling.plugin.manager")
    document = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    document["tool"]["hatch"]["metadata"]["hooks"]["custom"]["address"] = address
    return core.ProjectMetadata(str(REPOSITORY), manager.PluginManager(), document).core


def test_the_readme_of_a_package_has_no_link_that_leads_nowhere():
    without, with_address = core_metadata("").readme, core_metadata(ADDRESS).readme
    assert "](docs/" not in without
    assert "![" not in without
    assert "(docs/" not in with_address.replace(f"({ADDRESS}/docs/", "")
    assert f"]({ADDRESS}/docs/training.md)" in with_address
    assert f"({ADDRESS}/docs/forms.svg?raw=true)" in with_address
    assert (
        without.count("https://arxiv.org/abs/1611.05431") == with_address.count("https://arxiv.org/abs/1611.05431") > 0
    )


def test_the_address_is_that_of_the_project():
    assert core_metadata("").urls == {}
    assert core_metadata(ADDRESS + "/").urls == {"Source": ADDRESS, "Changelog": f"{ADDRESS}/CHANGELOG.md"}
