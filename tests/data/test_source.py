"""What a DATA argument names, and what is imported only when it is used."""

import subprocess
import sys

import pytest

from resnext.data.builtin import BUILTIN
from resnext.data.source import open_data
from support.archives import FOUR, archive_of
from support.places import REPOSITORY

pytestmark = pytest.mark.once


def test_a_data_argument_has_one_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [open_data(word).name for word in BUILTIN] == ["digits", "cifar10", "cifar100"]
    (tmp_path / "digits").mkdir()
    assert open_data("./digits").name == str(tmp_path / "digits")
    archive_of(tmp_path / "x.tar", *FOUR)
    assert open_data("x.tar").name == open_data(tmp_path / "x.tar").name == str(tmp_path / "x.tar")


def test_keras_grain_and_scikit_learn_are_not_imported_before_use():
    code = (
        "import sys, resnext.data.source, resnext.data.batches\n"
        "print([name for name in ('keras', 'grain', 'sklearn') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True).stdout == "[]\n"
