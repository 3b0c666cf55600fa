"""Images from files: every kind of colour, crops while decoding, and what is refused."""

import io
import os
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from resnext.errors import ImageError, printable
from resnext.images import decode
from resnext.images.decode import check_header, decoding_cost, read_crop, read_image, read_with_format
from resnext.images.preprocessing import Preprocessing
from support.hostile_images import many_scans
from support.images import COLOURS, saved
from support.photos import photo


@pytest.mark.once
@pytest.mark.parametrize("kind", ["baseline", "progressive", "grey progressive"])
def test_a_jpeg_without_its_end_mark_is_whole_and_one_cut_before_is_not(kind, tmp_path):
    stream = io.BytesIO()
    mode = "L" if "grey" in kind else "RGB"
    photo((160, 120)).convert(mode).save(stream, "JPEG", quality=90, progressive="progressive" in kind)
    content = stream.getvalue()
    whole = read_image(io.BytesIO(content))
    for cut in (1, 2):
        np.testing.assert_array_equal(read_image(io.BytesIO(content[:-cut])), whole)
        (tmp_path / "cut.jpg").write_bytes(content[:-cut])
        small = Preprocessing(32, 36)
        expected, given = (small.load(each) for each in (io.BytesIO(content), tmp_path / "cut.jpg"))
        np.testing.assert_array_equal(given, expected)
    for cut in (3, 4, 6, 8, 10, 20, 50, 500, len(content) // 2):
        with pytest.raises(ImageError):
            read_image(io.BytesIO(content[:-cut]))
    if "progressive" in kind:  # between two of its scans: all that is there is whole, but not all is there
        scans = [place for place in range(len(content)) if content[place : place + 2] == b"\xff\xda"]
        assert len(scans) > 5
        for place in scans[1:]:
            with pytest.raises(ImageError):
                read_image(io.BytesIO(content[: content.rindex(b"\xff\xc4", 0, place)]))


def png_header(width, height):
    """A PNG that claims a size and holds next to nothing."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0")),
    ]
    body = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


@pytest.mark.parametrize("suffix", ["png", "bmp", "webp"])
def test_lossless_rgb_comes_back_exactly(tmp_path, suffix):
    path = saved(Image.fromarray(COLOURS), tmp_path / f"a.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    pixels = read_image(path)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, COLOURS)


def test_jpeg_comes_back_as_pillow_decodes_it(tmp_path):
    path = saved(Image.fromarray(COLOURS), tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_image(path), np.asarray(Image.open(path)))


def test_one_bit_and_grey_images_have_three_equal_channels(tmp_path):
    grey = COLOURS[..., 0]
    pixels = read_image(saved(Image.fromarray(grey), tmp_path / "grey.png"))
    np.testing.assert_array_equal(pixels, np.repeat(grey[..., None], 3, -1))
    one_bit = saved(Image.fromarray(grey > 127), tmp_path / "bits.png")
    assert Image.open(one_bit).mode == "1"
    np.testing.assert_array_equal(read_image(one_bit)[..., 1], np.where(grey > 127, 255, 0))


def test_palette_image_shows_its_colours(tmp_path):
    image = Image.fromarray(COLOURS).quantize(64)
    pixels = read_image(saved(image, tmp_path / "a.png"))
    np.testing.assert_array_equal(pixels, np.asarray(image.convert("RGB")))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 10


def test_transparent_palette_entry_is_white(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    pixels = read_image(saved(image, tmp_path / "a.png", transparency=0))
    assert pixels.tolist() == [[[255, 255, 255], [0, 0, 255]]]


def test_transparent_colour_of_an_rgb_image_is_white(tmp_path):
    image = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    pixels = read_image(saved(image, tmp_path / "a.png", transparency=(1, 2, 3)))
    assert pixels.tolist() == [[[255, 255, 255], [4, 5, 6]]]


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_alpha_is_laid_on_white(tmp_path, suffix):
    rgba = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 51]]], np.uint8)
    options = {"lossless": True, "exact": True} if suffix == "webp" else {}
    pixels = read_image(saved(Image.fromarray(rgba), tmp_path / f"a.{suffix}", **options))
    assert pixels.tolist() == [[[255, 0, 0], [255, 255, 255], [204, 204, 204]]]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA"])
def test_strips_on_white_are_the_whole_on_white(monkeypatch, mode):
    noise = np.random.default_rng(0).integers(0, 256, (30, 17, 4), dtype=np.uint8)
    image = Image.fromarray(noise).convert("LA" if mode == "LA" else "RGBA")
    if mode in ("P", "PA"):
        image = Image.fromarray(noise[..., :3]).quantize(50)
        image.info["transparency"] = bytes(range(50))
        image = image.convert(mode)
    whole = np.asarray(decode.to_rgb(image))
    monkeypatch.setattr(decode, "STRIP", 60)
    np.testing.assert_array_equal(np.asarray(decode.to_rgb(image)), whole)
    white = Image.new("RGBA", image.size, "white")
    np.testing.assert_array_equal(whole, np.asarray(Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")))


def test_grey_with_alpha_is_laid_on_white(tmp_path):
    image = Image.merge(
        "LA",
        [Image.fromarray(np.array([[10, 10]], np.uint8)), Image.fromarray(np.array([[255, 0]], np.uint8))],
    )
    path = saved(image, tmp_path / "a.png")
    assert Image.open(path).mode == "LA"
    assert read_image(path)[..., 0].tolist() == [[10, 255]]


def test_cmyk_jpeg_becomes_rgb(tmp_path):
    path = saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), tmp_path / "a.jpg", quality=100)
    assert Image.open(path).mode == "CMYK"
    assert np.abs(read_image(path).astype(int) - [255, 0, 0]).max() <= 3


def test_sixteen_bit_png_is_scaled_not_clipped(tmp_path):
    levels = np.array([[0, 128, 129, 257, 40000, 65535]], np.uint16)
    path = saved(Image.fromarray(levels), tmp_path / "a.png")
    assert Image.open(path).mode.startswith("I")
    assert read_image(path)[..., 2].tolist() == [[0, 0, 1, 1, 156, 255]]


def test_thirty_two_bit_mode_is_scaled_too():
    image = Image.fromarray(np.array([[0, 40000, 65535]], np.int32))
    assert image.mode == "I"
    assert Preprocessing(1, 1).apply(image).tolist() == [[[156, 156, 156]]]


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(tmp_path, orientation, suffix):
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :8], upright[:8, 24:], upright[8:, :8] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.swapaxes(0, 1), 6: np.rot90(upright),
        7: np.rot90(upright, 2).swapaxes(0, 1), 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100, "subsampling": 0} if suffix == "jpg" else {}
    path = saved(Image.fromarray(np.ascontiguousarray(stored)), tmp_path / f"a.{suffix}", exif=exif, **options)
    pixels = read_image(path).astype(int)
    assert pixels.shape == upright.shape
    assert np.abs(pixels - upright).max() <= 5


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_first_frame_of_an_animation_is_taken(tmp_path, suffix):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    path = saved(frames[0], tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], lossless=True)
    assert Image.open(path).n_frames == 2
    assert np.unique(read_image(path).reshape(-1, 3), axis=0).tolist() == [[255, 0, 0]]


def test_stream_is_read_and_left_open():
    stream = io.BytesIO()
    Image.fromarray(COLOURS).save(stream, "PNG")
    np.testing.assert_array_equal(read_image(stream), COLOURS)
    assert not stream.closed


@pytest.mark.parametrize("name", ["ünï 猫 🐈.png", "two\nlines.png"])
def test_odd_file_names_are_read(tmp_path, name):
    np.testing.assert_array_equal(read_image(saved(Image.fromarray(COLOURS), tmp_path / name)), COLOURS)


def refusal(path, pattern, read=read_image):
    with pytest.raises(ImageError, match=pattern) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("read", [read_image, check_header])
def test_text_with_an_image_suffix_is_refused(tmp_path, read):
    path = tmp_path / "a.jpg"
    path.write_text("not an image")
    refusal(path, "not a JPEG, PNG, WEBP, BMP, GIF, TIFF, AVIF(, PPM or HEIF| or PPM) image$", read)


@pytest.mark.parametrize("read", [read_image, check_header])
@pytest.mark.parametrize("kind", ["ICO", "TGA", "PCX"])
def test_other_formats_are_refused_whatever_their_suffix(tmp_path, kind, read):
    refusal(saved(Image.new("RGB", (16, 16)), tmp_path / "a.png", format=kind), "not a JPEG", read)


@pytest.mark.parametrize("read", [read_image, check_header])
def test_empty_file_is_refused(tmp_path, read):
    (tmp_path / "a.png").touch()
    refusal(tmp_path / "a.png", "empty file$", read)


@pytest.mark.parametrize("read", [read_image, check_header])
def test_missing_file_is_refused(tmp_path, read):
    refusal(tmp_path / "a.png", "No such file or directory$", read)


@pytest.mark.parametrize("read", [read_image, check_header])
def test_folder_and_fifo_are_refused_without_waiting(tmp_path, read):
    refusal(tmp_path, "not a regular file$", read)
    os.mkfifo(tmp_path / "a.png")
    refusal(tmp_path / "a.png", "not a regular file$", read)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "gif"])
def test_truncated_file_is_refused(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = saved(Image.fromarray(noise), tmp_path / f"a.{suffix}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refusal(path, "a[.]")


@pytest.mark.parametrize("read", [read_image, check_header])
@pytest.mark.parametrize("action", ["ignore", "error"])
@pytest.mark.parametrize("side", [8001, 9600, 20000])  # Pillow says nothing, warns, raises
def test_more_than_64_megapixels_are_refused_by_the_header(tmp_path, side, action, read):
    path = tmp_path / "a.png"
    path.write_bytes(png_header(side, side))
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        refusal(path, "more than 64,000,000 pixels; save it smaller, or as a JPEG$", read)


@pytest.mark.parametrize("side", [10_400, 14_200])  # 108 and 201 megapixels
def test_photos_of_phones_are_decoded_at_a_fraction(tmp_path, side):
    image = Image.new("L", (side, side), 40)
    image.paste(200, (0, 0, side // 2, side))
    path = saved(image, tmp_path / "a.jpg")
    check_header(path)
    assert decoding_cost(path) == side**2 // 4
    for pixels in (read_image(path), read_with_format(path)[0]):
        assert pixels.shape == (side // 2, side // 2, 3)
        assert pixels[0, [0, -1], 0].tolist() == [200, 40]
    small = Preprocessing(32, 32).load(path)
    assert small[16, [0, 31], 1].tolist() == [200, 40]
    box = (side // 2 - 100, 0, side // 2 + 100, 200)  # decoded at half its size, although the crop would need all of it
    crop = read_crop(path, lambda width, height: box, 100, "bilinear")
    assert crop[50, [10, 90], 2].tolist() == [200, 40]


def test_more_than_256_megapixels_are_refused_by_the_header_of_a_jpeg(tmp_path):
    content = bytearray(saved(Image.new("L", (8, 8)), tmp_path / "a.jpg").read_bytes())
    place = content.index(b"\xff\xc0") + 5
    content[place : place + 4] = struct.pack(">HH", 16_000, 16_001)
    (tmp_path / "a.jpg").write_bytes(content)
    for read in (read_image, check_header, decoding_cost):
        refusal(tmp_path / "a.jpg", "more than 256,000,000 pixels; save it smaller$", read)


@pytest.mark.parametrize(("scans", "side", "is_read"), [(175, 2000, True), (177, 2000, False), (3000, 64, True)])
def test_scans_beyond_the_usual_are_limited_by_what_they_cost(tmp_path, scans, side, is_read):
    path = tmp_path / "a.jpg"
    path.write_bytes(many_scans(scans, side))
    if is_read:
        assert read_image(path).shape == (side, side, 3)
        assert decoding_cost(path) == (scans - 16) * side**2 // 4
    else:
        for read in (read_image, decoding_cost, Preprocessing(32, 32).load):
            refusal(path, "177 scans of 4,000,000 pixels take too long to decode; save it as a plain JPEG$", read)


SMALL = Image.new("RGB", (8, 8))
PART = struct.pack(">I", 0) + b"abCd" + struct.pack(">I", zlib.crc32(b"abCd"))


def in_parts(kind, content):
    """The image with 20,000 empty parts in its header, or among its pixels."""
    if kind == "PNG":
        return content[:33] + PART * 20_000 + content[33:]
    if kind == "JPEG":
        return content[:2] + b"\xff\xe1\x00\x02" * 20_000 + content[2:]
    if kind == "GIF":
        place = content.index(b"\x2c")
        return content[:place] + b"\x21\xfe" + b"\x01x" * 20_000 + b"\x00" + content[place:]
    if kind == "PPM":
        return content.replace(b"P6\n", b"P6\n#" + b"x" * 20_000 + b"\n")
    place = content.index(b"IDAT") - 4
    return (
        content[:place]
        + (struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))) * 20_000
        + content[place:]
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "PPM", "IDAT"])
def test_files_of_millions_of_parts_are_refused(tmp_path, kind):
    path = saved(SMALL, tmp_path / "a.bin", format="PNG" if kind == "IDAT" else kind)
    path.write_bytes(in_parts(kind, path.read_bytes()))
    refusal(path, "too many parts, which take too long to read; save it again$")
    refusal(path, "too many parts", Preprocessing(8, 8).load)


def test_a_png_of_many_small_parts_is_read(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), dtype=np.uint8)
    content = saved(Image.fromarray(noise), tmp_path / "a.png").read_bytes()
    place = content.index(b"IDAT")
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in noise), 0)
    parts = [b"IDAT" + pixels[i : i + 512] for i in range(0, len(pixels), 512)]
    chunks = b"".join(struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in parts)
    (tmp_path / "a.png").write_bytes(content[: place - 4] + chunks + content[-12:])
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), noise)


def test_header_check_reads_no_pixels(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png_header(8000, 8000))
    check_header(path)


@pytest.mark.parametrize("error", [OSError(), ValueError("x\n y"), SyntaxError("s"), struct.error("e"), KeyError(1)])
def test_whatever_decoding_raises_is_an_image_error(tmp_path, monkeypatch, error):
    path = saved(Image.fromarray(COLOURS), tmp_path / "a.png")

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(decode.ImageOps, "exif_transpose", fail)
    refusal(path, ": (OSError|x y|s|e|1)$")


def test_stream_is_named_in_the_error():
    with pytest.raises(ImageError, match=r"^upload 3: not a JPEG"):
        read_image(io.BytesIO(b""), "upload 3")
    with pytest.raises(ImageError, match=r"^image: not a JPEG"):
        read_image(io.BytesIO(b"x"))


def test_a_name_that_breaks_a_line_is_escaped(tmp_path):
    with pytest.raises(ImageError, match=r"two\\nlines.png': No such file"):
        read_image(tmp_path / "two\nlines.png")
    assert printable("ünï 猫.png") == "ünï 猫.png"
    printable(os.fsdecode(b"\xff.png")).encode()  # would raise for the raw name


def test_large_jpeg_is_decoded_at_a_fraction_and_looks_the_same(tmp_path):
    rows, columns = np.mgrid[:900, :1200]
    waves = [np.sin(rows / 40), np.cos(columns / 30), np.sin((rows + columns) / 50)]
    image = Image.fromarray((127 + 120 * np.stack(waves, axis=-1)).astype(np.uint8))
    turned = Image.Exif()
    turned[0x0112] = 6  # the top is at the right
    image.save(tmp_path / "large.jpg", quality=95, exif=turned)
    assert read_image(tmp_path / "large.jpg").shape == (1200, 900, 3)
    assert read_image(tmp_path / "large.jpg", at_least=200).shape == (300, 225, 3)
    assert read_image(tmp_path / "large.jpg", at_least=500).shape == (1200, 900, 3)
    preprocessing = Preprocessing(64, 72)
    small = preprocessing.load(tmp_path / "large.jpg").astype(int)
    whole = preprocessing.apply(read_image(tmp_path / "large.jpg")).astype(int)
    assert np.abs(small - whole).mean() < 1.5


def remembered(box):
    """A `choose_box` that gives `box`, and the sizes that it was asked about."""
    sizes = []
    return lambda width, height: sizes.append((width, height)) or box, sizes


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("box", [(0, 0, 81, 50), (3, 7, 60, 45), (80, 49, 81, 50), (10, 0, 20, 50)])
def test_crop_is_pillows_resize_of_the_box(tmp_path, box, interpolation):
    image = np.random.default_rng(0).integers(0, 256, (50, 81, 3), dtype=np.uint8)
    method = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[interpolation]
    wanted = np.asarray(Image.fromarray(image).resize((24, 24), method, box))
    choose, sizes = remembered(box)
    path = saved(Image.fromarray(image), tmp_path / "a.png")
    for source in (image, path, str(path), io.BytesIO(path.read_bytes())):
        pixels = read_crop(source, choose, 24, interpolation)
        np.testing.assert_array_equal(pixels, wanted)
        assert pixels.dtype == np.uint8
    assert sizes == [(81, 50)] * 4


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_crop_boxes_are_of_the_upright_image(tmp_path, orientation, suffix):
    stored = np.zeros((160, 320, 3), np.uint8)
    stored[:80, :80], stored[:80, 240:], stored[80:, :80] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100, "subsampling": 0} if suffix == "jpg" else {}
    path = saved(Image.fromarray(stored), tmp_path / f"a.{suffix}", exif=exif, **options)
    upright = read_image(path)
    height, width, _ = upright.shape
    box = (width // 10, height // 10, width, height * 9 // 10)
    choose, sizes = remembered(box)
    for size in (8, 100):  # decoded at an eighth, and whole
        pixels = read_crop(path, choose, size, "bilinear").astype(int)
        whole = np.asarray(Image.fromarray(upright).resize((size, size), Image.Resampling.BILINEAR, box))
        assert np.abs(pixels - whole).mean() < 3
    assert sizes == [(width, height)] * 2


@pytest.mark.parametrize(
    ("box", "size", "decoded"),
    [
        ((0, 0, 1205, 901), 100, (302, 226)),  # 901 / 4 is 2 * 100 and more, 901 / 8 is not
        ((0, 0, 1205, 901), 50, (151, 113)),
        ((0, 0, 400, 901), 100, (603, 451)),
        ((0, 0, 399, 901), 100, (1205, 901)),
        ((300, 100, 500, 200), 100, (1205, 901)),
    ],
)
def test_large_jpeg_is_decoded_with_twice_the_pixels_that_the_crop_needs(tmp_path, monkeypatch, box, size, decoded):
    rows, columns = np.mgrid[:901, :1205]
    waves = [np.sin(rows / 40), np.cos(columns / 30), np.sin((rows + columns) / 50)]
    image = Image.fromarray((127 + 120 * np.stack(waves, axis=-1)).astype(np.uint8))
    path = saved(image, tmp_path / "a.jpg", quality=95)
    whole = np.asarray(Image.open(path).resize((size, size), Image.Resampling.BILINEAR, box)).astype(int)
    sizes, resize = [], Image.Image.resize
    monkeypatch.setattr(Image.Image, "resize", lambda self, *how: sizes.append(self.size) or resize(self, *how))
    pixels = read_crop(path, lambda width, height: box, size, "bilinear")
    assert sizes == [decoded]
    assert np.abs(pixels - whole).mean() < 1.5


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (9, 7), (17, 23)])
def test_small_jpegs_give_crops_of_any_box(tmp_path, size):
    path = saved(Image.new("RGB", size, (200, 100, 50)), tmp_path / "a.jpg", quality=100)
    for box in [(0, 0, *size), (size[0] - 1, size[1] - 1, *size)]:
        pixels = read_crop(path, lambda width, height, box=box: box, 1, "bicubic")
        assert np.abs(pixels.astype(int) - [[[200, 100, 50]]]).max() <= 3


def test_crop_reads_every_kind_of_image_as_read_image_does(tmp_path):
    rgba = np.dstack([COLOURS, COLOURS[..., 0]])
    levels = COLOURS[..., 0].astype(np.uint16) * 250
    images = [Image.fromarray(rgba), Image.fromarray(levels), Image.fromarray(COLOURS).quantize(8)]
    for number, image in enumerate(images):
        path = saved(image, tmp_path / f"{number}.png")
        whole = read_image(path)
        wanted = read_crop(whole, lambda width, height: (1, 1, 6, 5), 4, "bicubic")
        np.testing.assert_array_equal(read_crop(path, lambda width, height: (1, 1, 6, 5), 4, "bicubic"), wanted)
        np.testing.assert_array_equal(whole, read_image(path))


def test_crop_refuses_what_read_image_refuses(tmp_path):
    def read(path):
        return read_crop(path, lambda width, height: (0, 0, width, height), 8, "bilinear")

    refusal(tmp_path / "a.png", "No such file or directory$", read)
    (tmp_path / "text.jpg").write_text("not an image")
    refusal(tmp_path / "text.jpg", "not a JPEG", read)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for suffix in ("jpg", "png"):
        path = saved(Image.fromarray(noise), tmp_path / f"half.{suffix}")
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        refusal(path, "half[.]", read)
    (tmp_path / "huge.png").write_bytes(png_header(9000, 9000))
    refusal(tmp_path / "huge.png", "more than 64,000,000 pixels; save it smaller, or as a JPEG$", read)


@pytest.mark.parametrize("box", [(0, 0, 10, 6), (-1, 0, 5, 5), (5, 3, 3, 5)])
def test_crop_refuses_a_box_that_is_reversed_or_outside(tmp_path, box):
    path = saved(Image.fromarray(COLOURS), tmp_path / "a.png")
    refusal(path, "[Bb]ox", lambda path: read_crop(path, lambda width, height: box, 8, "bilinear"))
    with pytest.raises(ValueError, match=r"[Bb]ox"):
        read_crop(COLOURS, lambda width, height: box, 8, "bilinear")


def test_crop_leaves_its_argument_alone():
    image = COLOURS.copy()
    read_crop(image, lambda width, height: (0, 0, width, height), 4, "bilinear")
    np.testing.assert_array_equal(image, COLOURS)
