"""Files that are complete or absent, and folders that nobody has to clean up."""

import json
import os

import pytest

from resnext.ending import clean_up
from resnext.files import read_regular, temporary_folder, to_json, user_path, write_atomically

pytestmark = pytest.mark.once


def test_a_file_that_could_not_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    file = tmp_path / "config.json"
    write_atomically(file, b"old")

    def full(descriptor):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        write_atomically(file, b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["config.json"]
    assert file.read_bytes() == b"old"


def test_only_regular_files_of_a_bounded_size_are_read(tmp_path):
    file, pipe, link = (tmp_path / name for name in ("file", "pipe", "link"))
    file.write_bytes(b"12345")
    assert read_regular(file, 5) == b"12345"
    with pytest.raises(OSError, match="5 bytes; at most 4 are read"):
        read_regular(file, 4)
    os.mkfifo(pipe)
    link.symlink_to("/dev/zero")
    for path in (pipe, link, tmp_path):
        with pytest.raises(OSError, match="not a regular file"):
            read_regular(path, 5)


def test_json_for_people_does_nothing_to_a_terminal():
    text = to_json({"a": "\x1b \x9b \u202e \u200b ü"}, indent=1)
    assert text == '{\n "a": "\\u001b \\u009b \\u202e \\u200b ü"\n}'
    assert json.loads(text) == {"a": "\x1b \x9b \u202e \u200b ü"}


def test_a_temporary_folder_goes_however_the_block_ends(tmp_path):
    def interrupted():
        with temporary_folder(tmp_path / "model[1]") as folder:
            (folder / "file").write_bytes(b"x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not [*tmp_path.iterdir()]


def test_a_temporary_folder_goes_when_the_process_ends_inside(tmp_path):
    with temporary_folder(tmp_path / "model") as folder:
        clean_up()
        assert not folder.exists()


def test_leftovers_of_dead_processes_go_and_others_stay(tmp_path):
    dead = os.fork()
    if not dead:
        os._exit(0)
    os.waitpid(dead, 0)
    names = [f".model.{dead}", f".model.{os.getppid()}", ".model.old", f".models.{dead}"]
    for name in names:
        (tmp_path / name).mkdir()
    with temporary_folder(tmp_path / "model"):
        pass
    assert {entry.name for entry in tmp_path.iterdir()} == {*names[1:]}


def test_a_tilde_is_the_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    assert str(user_path("~/a")) == "/home/anna/a"
