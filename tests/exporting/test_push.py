"""A bundle is uploaded to huggingface.co, or refused before anything is written."""

import pytest

from resnext import export
from resnext.errors import ArgumentError, ExportError

hub = pytest.importorskip("huggingface_hub")
pytestmark = pytest.mark.once


class Api:
    """What is used of huggingface.co."""

    calls: list = []  # noqa: RUF012 - emptied by the fixture
    fails: str | None = None

    def _call(self, name, *arguments, **keywords):
        if self.fails == name:
            raise OSError(f"{name} failed")
        self.calls.append((name, arguments, keywords))

    def whoami(self):
        self._call("whoami")

    def create_repo(self, repository, **keywords):
        self._call("create_repo", repository, **keywords)
        return f"https://huggingface.co/{repository}"

    def upload_folder(self, **keywords):
        self._call("upload_folder", **keywords)


@pytest.fixture
def api(monkeypatch):
    monkeypatch.setattr(hub, "HfApi", Api)
    monkeypatch.setattr(Api, "calls", [])
    monkeypatch.setattr(Api, "fails", None)
    return Api


def test_a_bundle_is_uploaded_into_a_private_repository(trained, tmp_path, api):
    done = export(trained[0], tmp_path / "bundle", to="bundle", push="me/colours")
    assert done.address == "https://huggingface.co/me/colours"
    assert [name for name, *_ in api.calls] == ["whoami", "create_repo", "upload_folder"]
    assert api.calls[1][1:] == (("me/colours",), {"private": True, "exist_ok": True})
    assert api.calls[2][2]["folder_path"] == tmp_path / "bundle"


@pytest.mark.parametrize(
    ("options", "fails", "message"),
    [
        (
            {"to": "onnx", "push": "me/colours"},
            None,
            "--push uploads a bundle, and this is onnx. Pass --to bundle",
        ),
        ({"to": "bundle", "push": "colours"}, None, "colours: not a name of a repository. Pass --push OWNER/NAME"),
        (
            {"to": "bundle", "push": "me/colours"},
            "whoami",
            r"can't be pushed \(whoami failed\). Log in by `hf auth",
        ),
    ],
)
def test_what_cannot_be_pushed_is_refused_before_anything_is_written(trained, tmp_path, api, options, fails, message):
    api.fails = fails
    out = tmp_path / ("net.onnx" if options["to"] == "onnx" else "bundle")
    with pytest.raises((ArgumentError, ExportError), match=message):
        export(trained[0], out, **options)
    assert [*tmp_path.iterdir()] == []


def test_the_bundle_stays_if_the_upload_fails(trained, tmp_path, api, monkeypatch):
    monkeypatch.chdir(tmp_path)
    api.fails = "upload_folder"
    with pytest.raises(ExportError, match=r"The bundle is in .*bundle; push it by `hf upload me/colours .*bundle`"):
        export(trained[0], "bundle", to="bundle", push="me/colours")
    assert (tmp_path / "bundle" / "model.safetensors").exists()
