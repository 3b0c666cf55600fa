"""Strict decoding of untrusted image files: within limits, upright and in RGB."""

from __future__ import annotations

import contextlib
import io
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageOps, JpegImagePlugin

from resnext.errors import ArgumentError, ImageError, one_line, printable
from resnext.images.colour_profiles import to_srgb
from resnext.images.dicom import DICOM_SUFFIXES, HAS_DICOM, dicom_formats
from resnext.images.dicom import HOW as HOW_DICOM
from resnext.images.heif import HAS_HEIF, HEIF_SUFFIXES, HOW, heif_formats
from resnext.images.jpeg_scans import has_all_scans
from resnext.images.streams import BoundedStream, Openable, open_bounded

# Pillow recognises 40 formats by their first bytes; some of them start external programs, some have had memory bugs.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "PPM")
SUFFIXES = ".jpg .jpeg .jpe .jfif .jif .mpo .png .apng .webp .bmp .dib .gif .tif .tiff .avif .ppm .pgm .pbm .pnm"
EXTRA_SUFFIXES = (*(HEIF_SUFFIXES if HAS_HEIF else ()), *(DICOM_SUFFIXES if HAS_DICOM else ()))
IMAGE_SUFFIXES = frozenset((*SUFFIXES.split(), *EXTRA_SUFFIXES))
MAX_PIXELS = 64_000_000  # once decoded, when they take 192 MB
MAX_JPEG_PIXELS = 256_000_000  # of a JPEG, which can be decoded at 1/2, 1/4 or 1/8 of its size; phones have 200 million
SCALES = (1, 2, 4, 8)
RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
JPEG = b"\xff\xd8\xff"  # begins a JPEG
END_MARK = b"\xff\xd9"  # of a JPEG
FILLERS = (b"", b"\xaa" * 4096, b"\x55" * 4096)
JPEGS = ("JPEG", "MPO")
MAX_READS = 4_000  # of a header, of which each part takes some: millions of parts fit into a small file
BYTES_PER_READ = 64  # of the file, on average, while a PNG is decoded: it has many parts, too
CHUNK = 2**20  # bytes read at once
STRIP = 1_000_000  # pixels laid on white at once
SCAN = b"\xff\xda"  # begins each scan of a JPEG
USUAL_SCANS = 16  # of a JPEG: encoders write 10 or fewer, and a preview has its own
MAX_SCANNED = 640_000_000  # pixels times scans beyond the usual: each may take as long as decoding the image once
SLOW_CODECS = ("ppm_plain", "ppm", "bmp_rle")  # of Pillow, in Python
SLOW = 16  # times slower than the others, at least
FAST = 4  # times faster a JPEG is, because it is decoded at a fraction of its size
SIDEWAYS = (5, 6, 7, 8)  # the EXIF orientations that swap width and height


# For each thread, the image that it is reading and the time it started (see `resnext.images.watchdog`).
being_read: dict[int, tuple[str, float]] = {}


def read_image(
    source: str | Path | BinaryIO | Openable, name: str | None = None, at_least: int | None = None
) -> np.ndarray:
    """Return the pixels of an image file or stream, uint8 (H, W, 3), as `read_picture` does."""
    return np.asarray(read_picture(source, name, at_least))


def read_picture(
    source: str | Path | BinaryIO | Openable, name: str | None = None, at_least: int | None = None
) -> Image.Image:
    """Return an image file or stream in RGB, turned upright by the EXIF orientation.

    Only the first frame of an animation is read. Transparent images are laid on white. 16-bit greyscale is scaled, not
    clipped. A JPEG of more than MAX_PIXELS is decoded at the largest of 1/2, 1/4 and 1/8 of its size that is smaller.

    Args:
        source: path, member of an archive, or binary stream open for reading.
        name: name of the image in error messages; by default its path.
        at_least: pixels that both sides must keep; a much larger JPEG may be returned smaller, which is faster.

    Raises:
        ImageError: the source is not a regular file, not one of FORMATS, too large, too slow to decode, or damaged.
    """
    with opened(source, name) as image:
        picture, _ = decoded(image, min(image.size) // at_least if at_least else 1)
        return _upright(picture)


def read_crop(
    source: str | Path | BinaryIO | Openable | np.ndarray,
    choose_box: Callable[[int, int], tuple[int, int, int, int]],
    size: int,
    interpolation: str,
) -> np.ndarray:
    """Return a crop of an image, resized with antialiasing to uint8 (size, size, 3).

    A JPEG is decoded at 1/2, 1/4 or 1/8 of its size if that leaves at least twice the pixels that the crop is resized
    to, or if it has more than MAX_PIXELS. At the edges of the crop, the filter includes the pixels outside it; cropping
    before resizing would repeat the edge instead.

    Args:
        source: path, binary stream open for reading, member of an archive, or uint8 (H, W, 3).
        choose_box: function from the width and height of the upright image to the box (left, upper, right, lower) in
            its pixels.
        size: side of the result in pixels.
        interpolation: "bilinear" or "bicubic".

    Raises:
        ImageError: `read_image` would refuse the source, or the box extends beyond the image.

    >>> image = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    >>> read_crop(image, lambda width, height: (2, 4, 4, 6), 2, "bilinear")[..., 0].tolist()
    [[102, 105], [126, 129]]
    """
    if isinstance(source, np.ndarray):
        picture = to_picture(source)
        return _resized_box(picture, choose_box(*picture.size), size, interpolation)
    with opened(source) as image:
        sideways = image.getexif().get(ExifTags.Base.Orientation, 1) in SIDEWAYS
        box = choose_box(*(image.size[::-1] if sideways else image.size))
        picture, scale = decoded(image, min(box[2] - box[0], box[3] - box[1]) // (2 * size))
        return _resized_box(_upright(picture), tuple(side / scale for side in box), size, interpolation)


def read_with_format(source: str | Path | Openable) -> tuple[np.ndarray, str]:
    """Return the pixels as `read_image` does, and the file's format, one of FORMATS. Raises ImageError."""
    with opened(source) as image:
        picture, _ = decoded(image)
        return np.asarray(_upright(picture)), image.format or "unknown"


def read_size(source: str | Path | Openable) -> tuple[int, int]:
    """Return width and height of the upright image in pixels; only the header is read. Raises ImageError."""
    with opened(source) as image:
        width, height = image.size
        return (height, width) if image.getexif().get(ExifTags.Base.Orientation) in SIDEWAYS else (width, height)


def check_header(path: str | Path | Openable) -> None:
    """Raise the ImageError of `read_image` if the header alone shows that the file can't be read."""
    with opened(path):
        pass


def decoding_cost(source: str | Path | BinaryIO | Openable) -> int:
    """Return what decoding an image costs, in pixels of a PNG: a quarter of a JPEG's, for each scan beyond the usual.

    Only the header is read, and a JPEG is searched for its scans.

    Raises:
        ImageError: as in `read_image`, if that is seen without decoding.
    """
    with opened(source) as image:
        pixels = image.width * image.height
        if image.format in JPEGS:
            return _check_scans(image) // FAST
        return pixels * SLOW if image.tile and image.tile[0].codec_name in SLOW_CODECS else pixels


@contextlib.contextmanager
def opened(source: str | Path | BinaryIO | Openable, name: str | None = None) -> Iterator[Image.Image]:
    """Open an image and read only its header; any exception inside the `with` block becomes an ImageError."""
    name = name or ("image" if hasattr(source, "read") else printable(source))
    being_read[threading.get_ident()] = name, time.monotonic()
    try:
        with open_bounded(source) as stream, _header(stream) as image:
            stream.bound(None if image.format != "PNG" else MAX_READS + stream.size // BYTES_PER_READ)
            yield image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"{name}: more than {MAX_PIXELS:,} pixels; save it smaller, or as a JPEG") from error
    except Image.UnidentifiedImageError as error:
        is_dicom = name.lower().endswith(DICOM_SUFFIXES)
        *formats, last = *FORMATS, *heif_formats(), *(dicom_formats() if is_dicom else ())
        more = "" if HAS_HEIF or not name.lower().endswith(HEIF_SUFFIXES) else f" ({HOW})"
        more = f" ({HOW_DICOM})" if is_dicom and not HAS_DICOM else more
        raise ImageError(f"{name}: not a {', '.join(formats)} or {last} image{more}") from error
    except Exception as error:  # damaged files make Pillow raise OSError, ValueError, SyntaxError, struct.error, ...
        raise ImageError(f"{name}: {one_line(error)}") from error
    finally:
        del being_read[threading.get_ident()]


def _header(stream: BoundedStream) -> Image.Image:
    """Return an image of which only the header is read.

    Raises:
        ValueError, DecompressionBombError: it is too large.
        Exception: of any kind, for a damaged file.
    """
    is_jpeg = stream.read(len(JPEG)) == JPEG
    stream.seek(0)
    stream.bound(MAX_READS)
    if not is_jpeg:
        image = Image.open(stream, formats=(*FORMATS, *heif_formats(), *dicom_formats()))
        if image.width * image.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        return image
    try:  # `Image.open` limits the pixels before a JPEG is reduced
        image = JpegImagePlugin.jpeg_factory(stream)
    except (SyntaxError, IndexError, TypeError, struct.error) as error:
        raise Image.UnidentifiedImageError from error
    if image.width * image.height > MAX_JPEG_PIXELS:
        raise ValueError(f"more than {MAX_JPEG_PIXELS:,} pixels; save it smaller")
    return image


def decoded(image: Image.Image, most: int = 1) -> tuple[Image.Image, int]:
    """Return the image with its pixels, and the factor by which it was reduced while it was decoded.

    Args:
        image: image of which the header is read.
        most: most by which it may be reduced, if it has no more than MAX_PIXELS.
    """
    if image.format in JPEGS:
        _check_scans(image)
    scale = _drafted(image, most)
    return _loaded(image), scale


def _check_scans(image: Image.Image) -> int:
    """Return the pixels of a JPEG, times its scans beyond the usual; a small file may have thousands.

    Raises ValueError if they would take too long.
    """
    scans, pixels = 1 if _has_one_scan(image) else _count(SCAN, image.fp), image.width * image.height
    if pixels * (scans - USUAL_SCANS) > MAX_SCANNED:
        raise ValueError(f"{scans:,} scans of {pixels:,} pixels take too long to decode; save it as a plain JPEG")
    return pixels * max(1, scans - USUAL_SCANS)


def _has_one_scan(image: Image.Image) -> bool:
    """Return whether the first scan of a JPEG, after which Pillow has stopped reading, has all of its components."""
    if image.info.get("progressive"):
        return False
    length = 6 + 2 * image.layers  # pyright: ignore[reportAttributeAccessIssue]  # a JPEG has it
    place = image.fp.tell()
    image.fp.seek(max(0, place - length - len(SCAN)))
    first = image.fp.read(len(SCAN) + 2)
    image.fp.seek(place)
    return first == SCAN + length.to_bytes(2, "big")


def _count(marker: bytes, stream: BinaryIO) -> int:
    """Return how often a marker of two bytes occurs in a stream of any length, which stays where it is."""
    place, count, last = stream.tell(), 0, b""
    stream.seek(0)
    while part := stream.read(CHUNK):
        count += (last + part).count(marker)
        last = part[-1:]
    stream.seek(place)
    return count


def _drafted(image: Image.Image, most: int) -> int:
    """Reduce a JPEG by 2, 4 or 8 while it is decoded: by `most` at most, but to MAX_PIXELS. Return the factor, or 1."""
    least = next(scale for scale in SCALES if image.width * image.height <= MAX_PIXELS * scale**2)
    scale = max(scale for scale in SCALES if scale <= max(most, least))
    # Pillow uses the largest scale that keeps this size, which is `scale`: width // (width // 4) is 4 to 7.
    drafted = image.draft(None, (image.width // scale, image.height // scale))
    return scale if drafted else 1


def _loaded(image: Image.Image) -> Image.Image:
    """Return the image with its pixels; a JPEG that lacks only its end mark is complete.

    It is decoded with several endings to find whether all pixels are there: missing ones would differ.
    """
    stream = image.fp
    try:
        image.load()
        return image
    except OSError:
        if image.format not in JPEGS:
            raise
        stream.seek(0)
        content = stream.read().rstrip(END_MARK[:1])
        if image.info.get("progressive") and not has_all_scans(content):
            raise
        endings = [Image.open(io.BytesIO(content + filler + END_MARK), formats=FORMATS) for filler in FILLERS]
        for ending in endings:
            ending.draft(None, image.size)
            ending.load()
        if len({ending.tobytes() for ending in endings}) > 1:
            raise
        return endings[0]


def _resized_box(picture: Image.Image, box: tuple[float, ...], size: int, interpolation: str) -> np.ndarray:
    left, upper, right, lower = box
    return np.asarray(picture.resize((size, size), RESAMPLING[interpolation], (left, upper, right, lower)))


def _upright(image: Image.Image) -> Image.Image:
    ImageOps.exif_transpose(image, in_place=True)  # otherwise it copies the pixels even if nothing is rotated
    return to_rgb(image)


def to_rgb(image: Image.Image) -> Image.Image:
    """Return the image in sRGB, with transparency laid on white and 16-bit greyscale scaled to 8 bits."""
    if image.info.get("icc_profile"):
        image = to_srgb(image)
    if image.mode == "RGB" and not image.has_transparency_data:
        return image  # `convert` would copy it
    if image.mode == "F":
        raise ValueError("floating-point pixels, whose range is unknown; convert it to 8 or 16 bits")
    if image.mode.startswith("I"):
        return Image.fromarray(as_bytes(image)).convert("RGB")
    if image.has_transparency_data:
        return _on_white(image)
    return image.convert("RGB")


def as_bytes(image: Image.Image) -> np.ndarray:
    """Return greyscale of 16 bits as uint8 (H, W). Pillow itself would turn every value above 255 white."""
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError(f"values from {values.min()} to {values.max()}, more than 16 bits; convert it to 8 or 16 bits")
    return to_8_bits(values)


def to_8_bits(values: np.ndarray) -> np.ndarray:
    """Return values of 16 bits, of any shape, as uint8: divided by 257 and rounded."""
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _on_white(image: Image.Image) -> Image.Image:
    """Return a transparent image on white, strip by strip: Pillow lets no other thread run meanwhile."""
    canvas, rows = Image.new("RGB", image.size), max(1, STRIP // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height))).convert("RGBA")
        canvas.paste(Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip).convert("RGB"), (0, top))
    return canvas


def to_picture(image: np.ndarray) -> Image.Image:
    """Return the array as a Pillow image. Raises ArgumentError unless it is uint8 (H, W, 3)."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        raise ArgumentError(
            f"got an array of {image.dtype} {image.shape}; an image is uint8 (H, W, 3); convert it first"
        )
    return Image.fromarray(image)
