"""Strict decoding of untrusted image files: within limits, upright and in RGB."""

from __future__ import annotations

import io
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

import numpy as np
from PIL import ExifTags, Image, ImageOps

from resnext.errors import ArgumentError, ImageError, one_line, printable
from resnext.images.colour_profiles import to_srgb
from resnext.images.heif import HAS_HEIF, HEIF_SUFFIXES, HOW, heif_formats
from resnext.images.jpeg_scans import has_all_scans

# Pillow recognises 40 formats by their first bytes; some of them start external programs, some have had memory bugs.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "PPM")
SUFFIXES = ".jpg .jpeg .jpe .jfif .jif .mpo .png .apng .webp .bmp .dib .gif .tif .tiff .avif .ppm .pgm .pbm .pnm"
IMAGE_SUFFIXES = frozenset((*SUFFIXES.split(), *(HEIF_SUFFIXES if HAS_HEIF else ())))
MAX_PIXELS = 64_000_000  # 192 MB once decoded; Pillow itself refuses images only above 178,956,970
RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
END_MARK = b"\xff\xd9"  # of a JPEG
FILLERS = (b"", b"\xaa" * 4096, b"\x55" * 4096)
SCAN = b"\xff\xda"  # begins each scan of a JPEG
MAX_SCANS = 500  # of a progressive JPEG: each takes as long as decoding the image once
SIDEWAYS = (5, 6, 7, 8)  # the EXIF orientations that swap width and height


# For each thread, the image that it is reading and the time it started (see `resnext.images.watchdog`).
being_read: dict[int, tuple[str, float]] = {}


@runtime_checkable
class Openable(Protocol):
    """A file that is not itself on disk (`resnext.data.archives.Member`); `str()` returns its name."""

    def open(self) -> BinaryIO:
        """Return a stream of the content. Raises ValueError or OSError."""
        ...


def read_image(
    source: str | Path | BinaryIO | Openable, name: str | None = None, at_least: int | None = None
) -> np.ndarray:
    """Return the pixels of an image file or stream, uint8 (H, W, 3), turned upright by the EXIF orientation.

    Only the first frame of an animation is read. Transparent images are laid on white. 16-bit greyscale is scaled, not
    clipped.

    Args:
        source: path, member of an archive, or binary stream open for reading.
        name: name of the image in error messages; by default its path.
        at_least: pixels that both sides must keep; a much larger JPEG may be returned smaller, which is faster.

    Raises:
        ImageError: the source is not a regular file, not one of FORMATS, larger than MAX_PIXELS, or damaged.
    """
    with _opened(source, name) as image:
        if at_least:
            image.draft(None, (at_least, at_least))
        return np.asarray(_upright(_loaded(image, source)))


def read_crop(
    source: str | Path | BinaryIO | Openable | np.ndarray,
    choose_box: Callable[[int, int], tuple[int, int, int, int]],
    size: int,
    interpolation: str,
) -> np.ndarray:
    """Return a crop of an image, resized with antialiasing to uint8 (size, size, 3).

    A JPEG is decoded at 1/2, 1/4 or 1/8 of its size if that leaves at least twice the pixels that the crop is resized
    to. At the edges of the crop, the filter includes the pixels outside it; cropping before resizing would repeat the
    edge instead.

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
    with _opened(source) as image:
        sideways = image.getexif().get(ExifTags.Base.Orientation, 1) in SIDEWAYS
        box = choose_box(*(image.size[::-1] if sideways else image.size))
        scale = _drafted(image, min(box[2] - box[0], box[3] - box[1]) // (2 * size))
        return _resized_box(_upright(_loaded(image, source)), tuple(side / scale for side in box), size, interpolation)


def read_with_format(source: str | Path | Openable) -> tuple[np.ndarray, str]:
    """Return the pixels as `read_image` does, and the file's format, one of FORMATS. Raises ImageError."""
    with _opened(source) as image:
        return np.asarray(_upright(_loaded(image, source))), image.format or "unknown"


def read_size(source: str | Path | Openable) -> tuple[int, int]:
    """Return width and height of the upright image in pixels; only the header is read. Raises ImageError."""
    with _opened(source) as image:
        width, height = image.size
        return (height, width) if image.getexif().get(ExifTags.Base.Orientation) in SIDEWAYS else (width, height)


def check_header(path: str | Path | Openable) -> None:
    """Raise the ImageError of `read_image` if the header alone shows that the file can't be read."""
    with _opened(path):
        pass


@contextmanager
def _opened(source: str | Path | BinaryIO | Openable, name: str | None = None) -> Iterator[Image.Image]:
    """Open an image and read only its header; any exception inside the `with` block becomes an ImageError."""
    name = name or ("image" if hasattr(source, "read") else printable(source))
    being_read[threading.get_ident()] = name, time.monotonic()
    try:
        with Image.open(_content(source), formats=(*FORMATS, *heif_formats())) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            yield image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"{name}: more than {MAX_PIXELS:,} pixels") from error
    except Image.UnidentifiedImageError as error:
        *formats, last = *FORMATS, *heif_formats()
        more = "" if HAS_HEIF or not name.lower().endswith(HEIF_SUFFIXES) else f" ({HOW})"
        raise ImageError(f"{name}: not a {', '.join(formats)} or {last} image{more}") from error
    except Exception as error:  # damaged files make Pillow raise OSError, ValueError, SyntaxError, struct.error, ...
        raise ImageError(f"{name}: {one_line(error)}") from error
    finally:
        del being_read[threading.get_ident()]


def _content(source: str | Path | BinaryIO | Openable) -> str | os.PathLike[str] | BinaryIO:
    """Return the object for Pillow to open."""
    if isinstance(source, str | os.PathLike):
        _check_file(source)
        return source
    return source.open() if isinstance(source, Openable) else source


def _check_file(path: str | os.PathLike[str]) -> None:
    # This check comes before opening, because opening a FIFO would wait for a writer forever.
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("not a regular file")
    if status.st_size == 0:
        raise ValueError("empty file")


def _drafted(image: Image.Image, most: int) -> int:
    """Reduce a JPEG by 2, 4 or 8, at most by `most`, while it is decoded. Return the factor; 1 for all other images."""
    scale = max((scale for scale in (1, 2, 4, 8) if scale <= most), default=1)
    # Pillow uses the largest scale that keeps this size, which is `scale`: width // (width // 4) is 4 to 7.
    drafted = image.draft(None, (image.width // scale, image.height // scale))
    return scale if drafted else 1


def _loaded(image: Image.Image, source: str | Path | BinaryIO | Openable) -> Image.Image:
    """Return the image with its pixels; a JPEG that lacks only its end mark is complete.

    It is decoded with several endings to find whether all pixels are there: missing ones would differ.
    """
    if image.info.get("progressive") and _bytes(source).count(SCAN) > MAX_SCANS:
        raise ValueError(f"more than {MAX_SCANS} scans, which take minutes to decode")
    try:
        image.load()
        return image
    except OSError:
        if image.format not in ("JPEG", "MPO"):
            raise
        content = _bytes(source).rstrip(END_MARK[:1])
        if image.info.get("progressive") and not has_all_scans(content):
            raise
        endings = [Image.open(io.BytesIO(content + filler + END_MARK), formats=FORMATS) for filler in FILLERS]
        for ending in endings:
            ending.draft(None, image.size)
            ending.load()
        if len({ending.tobytes() for ending in endings}) > 1:
            raise
        return endings[0]


def _bytes(source: str | Path | BinaryIO | Openable) -> bytes:
    content = _content(source)
    if isinstance(content, str | os.PathLike):
        return Path(content).read_bytes()
    content.seek(0)
    return content.read()


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
        # Pillow's own conversion clips at 255: every 16-bit value above it would become white.
        levels = np.asarray(image).clip(0, 65535).astype(np.uint32)
        return Image.fromarray(((levels + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def to_picture(image: np.ndarray) -> Image.Image:
    """Return the array as a Pillow image. Raises ArgumentError unless it is uint8 (H, W, 3)."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        raise ArgumentError(
            f"got an array of {image.dtype} {image.shape}; an image is uint8 (H, W, 3); convert it first"
        )
    return Image.fromarray(image)
