"""What `predict` is given: files, folders, patterns, archives and lists, read in their order."""

import io
import tarfile
import zipfile

import pytest

from resnext import predict
from resnext.data.prediction_inputs import Inputs
from resnext.errors import ArgumentError
from support.command import answers, resnext
from support.photos import COLOURS, write_photos

pytestmark = pytest.mark.once


def test_folders_patterns_archives_and_lists_are_read_in_order(trained, colours, tmp_path):
    folder, _ = trained
    write_photos(tmp_path / "photos", {"b": COLOURS["red"], "a": COLOURS["blue"]}, 2)
    root = tmp_path / "photos"
    (root / "notes.txt").write_text("no image")
    (root / "a" / "@eaDir").mkdir()
    (root / "a" / "@eaDir" / "0.png").write_bytes((root / "a" / "000.png").read_bytes())
    (root / "a" / "loop").symlink_to(root)
    files = sorted(root.glob("[ab]/*.png"))
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as archive:
        for file in reversed(files):
            archive.add(file, file.name + file.parent.name + ".png")
        archive.add(root / "notes.txt", "notes.md")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.write(files[0], "in/0.png")
    names = [*map(str, files)]
    inside = [f"{tmp_path}/x.tar.gz/{file.name}{file.parent.name}.png" for file in reversed(files)]
    process = resnext(
        "predict", folder, root, f"{root}/b/*.png", tmp_path / "x.tar.gz", tmp_path / "x.zip", "--format", "jsonl"
    )
    assert process.returncode == 0, process.stderr
    rows = answers(process.stdout)
    assert [row[0] for row in rows] == [*names, *names[2:], *inside, f"{tmp_path}/x.zip/in/0.png"]
    assert [row[1] for row in rows[:4]] == ["blue", "blue", "red", "red"]
    assert "left out: 1 link to a folder, 1 .txt, 1 .md" in process.stderr
    assert f"{len(rows)} images in" in process.stderr


def test_a_list_on_standard_input(trained, colours, monkeypatch):
    import io
    import sys

    folder, _ = trained
    files = [str(path) for path in sorted((colours / "test").glob("*/*.png"))]
    for text in ("\n".join(files), "\r\n".join(files) + "\r\n", "\0".join(files) + "\0"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        assert [each.image for each in predict(folder, "-")] == files


def test_nothing_to_classify_is_an_error(trained, tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    process = resnext("predict", trained[0], tmp_path)
    assert process.returncode == 1
    assert process.stderr.splitlines() == [
        "resnext: left out: 1 .txt",
        f"resnext: no images in {tmp_path}. Pass images, or folders that have some.",
    ]


@pytest.mark.parametrize(
    ("content", "paths"),
    [
        (b"\xef\xbb\xbfa.png\r\nb.png\r\n", ["a.png", "b.png"]),
        (b"a.png\0b.png", ["a.png", "b.png"]),
        (b"a.png\r", ["a.png"]),
    ],
)
def test_a_list_may_begin_with_a_mark_and_end_its_lines_anyhow(content, paths):
    assert [each.name for each in Inputs(["-"], io.BytesIO(content), False)] == paths


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_list_in_utf_16_is_refused(encoding):
    """By its zeros, its paths would be single characters, such as "/", below which everything lies."""
    with pytest.raises(ArgumentError, match=r"^the list is in UTF-16. Save it in UTF-8.$"):
        [*Inputs(["-"], io.BytesIO("/a/b.png\n/a/c.png\n".encode(encoding)), False)]


def test_a_list_with_carriage_returns_is_refused():
    with pytest.raises(ArgumentError, match=r"^the list ends its lines by carriage returns. Save it with line feeds.$"):
        [*Inputs(["-"], io.BytesIO(b"a.png\rb.png\r"), False)]
