"""Files that are hostile, broken or odd: each with its row in predict, and its word in evaluate and check-data."""

import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, PngImagePlugin

from resnext import Model, evaluate
from resnext.errors import DataError, ResNeXtError
from support.command import refusal, resnext
from support.hostile_images import PHOTO, PIXELS, many_scans, saved

pytestmark = pytest.mark.once

UNKNOWN_KIND = "not a JPEG, PNG, WEBP, BMP, GIF, TIFF, AVIF"
TOO_LARGE = "more than 64,000,000 pixels; save it smaller, or as a JPEG"
TRICKED = Path("/tmp/resnext-was-tricked")


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_header(width: int, height: int, *more: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def oriented(number: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = number
    return saved(kind="JPEG", exif=exif)


def jpeg_of_size(width: int, height: int) -> bytes:
    """A JPEG whose header claims other sides than it has."""
    content = bytearray(saved(kind="JPEG"))
    place = content.index(b"\xff\xc0") + 5
    content[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(content)


def animation(kind: str) -> bytes:
    return saved(kind=kind, save_all=True, append_images=[Image.new("RGB", PHOTO.size)] * 3)


def palette_with_transparency() -> bytes:
    return saved(PHOTO.convert("P"), transparency=bytes(range(256)))


def with_comment_bomb() -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "a" * 80_000_000, zip=True)
    return saved(pnginfo=text)


def with_zip() -> bytes:
    stream = io.BytesIO(saved(kind="JPEG"))
    stream.seek(0, io.SEEK_END)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("run.py", "raise SystemExit")
    return stream.getvalue()


def wrong_checksum() -> bytes:
    content = bytearray(saved())
    content[content.index(b"IDAT") + 30] ^= 255
    return bytes(content)


def drawing() -> bytes:
    image = Image.new("1", (30, 30))
    ImageDraw.Draw(image).ellipse((5, 5, 25, 25), fill=1)
    return saved(image)


class Runs:
    def __reduce__(self):
        return os.system, (f"touch {TRICKED}",)


PICKLE = pickle.dumps(Runs())
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HALF = {kind: saved(kind=kind)[: len(saved(kind=kind)) // 2] for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")}

BYTES = os.fsdecode(b"\xff\xfe.png")
# What is read, and what is not and why.
GOOD: dict[str, bytes | Callable[[], bytes]] = {
    "plain.jpg": saved(kind="JPEG"),
    "plain.png": saved(),
    "plain.webp": saved(kind="WEBP"),
    "plain.avif": saved(kind="AVIF"),
    "plain.tif": saved(kind="TIFF"),
    "plain.bmp": saved(kind="BMP"),
    "plain.ppm": saved(kind="PPM"),
    **{f"exif-{number}.jpg": oriented(number) for number in range(1, 9)},
    "cmyk.jpg": saved(PHOTO.convert("CMYK"), "JPEG"),
    "grey.jpg": saved(PHOTO.convert("L"), "JPEG"),
    "progressive.jpg": saved(kind="JPEG", progressive=True),
    "palette.png": palette_with_transparency,
    "grey-alpha.png": saved(PHOTO.convert("LA")),
    "sixteen-bit.png": saved(Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257)),
    "one-bit.png": drawing,
    "animated.gif": animation("GIF"),
    "animated.webp": animation("WEBP"),
    "animated.png": animation("PNG"),
    "a png in truth.jpg": saved(),
    "65000x1.png": saved(Image.new("RGB", (65_000, 1), "red")),
    "1x65000.png": saved(Image.new("RGB", (1, 65_000), "red")),
    "1x1.png": saved(Image.new("RGB", (1, 1))),
    "without-end-mark.jpg": saved(kind="JPEG")[:-2],
    "and-a-zip.jpg": with_zip,
    "and-a-script.jpg": saved(kind="JPEG") + b"<script>alert(1)</script>",
    "broken-exif.jpg": saved(kind="JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"),
    "broken-profile.png": saved(icc_profile=b"no profile"),
    "\N{GRINNING FACE} фото.png": saved(),
    "a\nline.png": saved(),
    "=cmd|' !A0.png": saved(),
    "-rf.png": saved(),
    "[a]*?.png": saved(),
    BYTES: saved(),
}
BAD: dict[str, tuple[bytes | Callable[[], bytes], str]] = {
    "empty.jpg": (b"", "empty file"),
    "text.jpg": (b"not an image", UNKNOWN_KIND),
    "page.png": (b"<!doctype html><img src=x onerror=alert(1)>", UNKNOWN_KIND),
    "drawing.png": (SVG, UNKNOWN_KIND),
    "font.png": (b"\0\1\0\0\0\x0f\0\x80\0\3\0\x70" + b"\0" * 200, UNKNOWN_KIND),
    "paper.jpg": (b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n", UNKNOWN_KIND),
    "postscript.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", UNKNOWN_KIND),
    "photoshop.png": (b"8BPS\0\1" + b"\0" * 6 + b"\0\3\0\0\0\x10\0\0\0\x10\0\x08\0\3" + b"\0" * 100, UNKNOWN_KIND),
    "icon.png": (saved(Image.new("RGB", (16, 16)), "ICO"), UNKNOWN_KIND),
    "jpeg-2000.jpg": (b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 100, UNKNOWN_KIND),
    "pickle.png": (PICKLE, UNKNOWN_KIND),
    "weights.png": (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, UNKNOWN_KIND),
    "half.jpg": (HALF["JPEG"], "truncated"),
    "half.png": (HALF["PNG"], "truncated"),
    "half.webp": (HALF["WEBP"], ""),
    "half.gif": (HALF["GIF"], "truncated"),
    "half.tif": (HALF["TIFF"], ""),
    "half.bmp": (HALF["BMP"], "truncated"),
    "signature-only.png": (b"\x89PNG\r\n\x1a\n", ""),
    "checksum.png": (wrong_checksum, ""),
    "400-megapixels.png": (png_header(20_000, 20_000), TOO_LARGE),
    "100-megapixels.png": (png_header(10_000, 10_000), TOO_LARGE),
    "many-scans.jpg": (many_scans, "500 scans of 4,000,000 pixels take too long to decode; save it as a plain JPEG"),
    "4-gigapixels.jpg": (jpeg_of_size(65_500, 65_500), "more than 256,000,000 pixels; save it smaller"),
    "nothing-in-it.png": (png_header(0, 0), ""),
    "no-pixels.png": (png_header(100, 100), ""),
    "float.tif": (saved(Image.fromarray(PIXELS[..., 0].astype(np.float32)), "TIFF"), "floating-point pixels"),
    "comment-of-80-mb.png": (with_comment_bomb, "Decompressed data too large"),
}


SPECIAL = {
    "pipe.jpg": "not a regular file",
    "nowhere.jpg": "No such file or directory",
    "loop.jpg": "Too many levels of symbolic links",
}
LINKS = {"outwards.jpg": "is a link that leads out of", "device.png": "is a link that leads out of"}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    """A class folder of all of them, and of what is no plain file."""
    root = tmp_path_factory.mktemp("hostile")
    folder = root / "test" / "red"
    for path in (folder, root / "train" / "red", root / "train" / "blue"):
        path.mkdir(parents=True)
        (path / "plain.png").write_bytes(saved())
    for name, content in {**GOOD, **{name: content for name, (content, _) in BAD.items()}}.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content())
    os.mkfifo(folder / "pipe.jpg")
    (folder / "nowhere.jpg").symlink_to("missing.jpg")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "readme.svg").write_bytes(SVG)
    (folder / ".hidden.png").write_bytes(saved())
    return folder


@pytest.fixture(scope="module")
def links(tmp_path_factory) -> Path:
    """A folder with links that lead out of it."""
    (tmp_path_factory.mktemp("outside") / "secret.png").write_bytes(saved())
    folder = tmp_path_factory.mktemp("links") / "test" / "red"
    folder.mkdir(parents=True)
    (folder / "outwards.jpg").symlink_to(tmp_path_factory.getbasetemp() / "outside0" / "secret.png")
    (folder / "device.png").symlink_to("/dev/zero")
    return folder


def test_each_has_its_row_in_predict(trained, hostile, links):
    folder, _ = trained
    assert len(GOOD) + len(BAD) + len(SPECIAL) >= 40
    process = resnext("predict", folder, hostile, links, hostile / "readme.svg", "--format", "jsonl")
    read = [json.loads(line) for line in process.stdout.splitlines()]
    names = {name: name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") for name in GOOD}
    assert names[BYTES] == r"\xff\xfe.png"  # bytes that are no UTF-8, in JSON
    rows = {row["image"].removeprefix(f"{hostile}/").removeprefix(f"{links}/"): row for row in read}
    assert rows.keys() == {*names.values(), *BAD, *SPECIAL, *LINKS, "readme.svg"}
    assert {name: rows[name]["error"] for name in names.values() if rows[name]["error"] is not None} == {}
    expected = {name: reason for name, (_, reason) in BAD.items()} | SPECIAL | LINKS | {"readme.svg": UNKNOWN_KIND}
    for name, reason in expected.items():
        assert rows[name]["class"] is None, name
        assert reason in rows[name]["error"], name
        assert "\n" not in rows[name]["error"]
    assert process.returncode == 1
    assert "left out: 1 .svg" in process.stderr
    assert not TRICKED.exists()


def test_each_has_its_word_in_check_data(hostile, links):
    process = resnext("check-data", hostile.parent.parent)
    assert process.returncode == 1
    start = f"can't be read: {hostile}/"
    lines = [line.removeprefix(start) for line in process.stdout.splitlines() if line.startswith(start)]
    said = dict(line.split(": ", 1) for line in lines)
    for name, reason in ({name: reason for name, (_, reason) in BAD.items()} | SPECIAL).items():
        assert reason in said[name]
    assert said.keys() == {*BAD, *SPECIAL}
    assert "is a link that leads out of" in refusal(resnext("check-data", links.parent))


def test_each_has_its_word_in_evaluate(trained, hostile, links, tmp_path, monkeypatch):
    """The good ones are evaluated, and each of the others stops the evaluation by its name."""
    folder, _ = trained
    engines = Model.open(folder).engines()
    monkeypatch.setattr(Model, "engines", lambda *_: engines)
    good = tmp_path / "good" / "red"
    good.mkdir(parents=True)
    for name in GOOD:
        os.link(hostile / name, good / name)
    assert len(evaluate(folder, good.parent)) == len(GOOD)
    for name, reason in ({name: reason for name, (_, reason) in BAD.items()} | SPECIAL).items():
        bad = tmp_path / "bad" / name / "red"
        bad.mkdir(parents=True)
        os.link(hostile / name, bad / name, follow_symlinks=False)
        with pytest.raises(ResNeXtError) as refused:
            evaluate(folder, bad.parent)
        assert name in str(refused.value)
        assert reason in str(refused.value)
    with pytest.raises(DataError, match="is a link that leads out of"):
        evaluate(folder, links.parent)
