"""What happens to an image file before the network sees it: read strictly, resize, crop.

Normalising is not done here: it is the first operation of the graph that train, predict and export run.
"""

from __future__ import annotations

import math
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, Protocol, runtime_checkable

import numpy as np
from PIL import ExifTags, Image, ImageOps

# Pillow knows 40 formats by their first bytes; some start programs, some have had memory faults.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"})
MAX_PIXELS = 64_000_000  # 192 MB once decoded; Pillow itself refuses only above 178,956,970
MAX_SIDE = math.isqrt(MAX_PIXELS)  # of what an image is resized to
RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
SIDEWAYS = (5, 6, 7, 8)  # the EXIF orientations that change width and height


MEAN = (0.485, 0.456, 0.406)  # of ImageNet's training images, on the scale 0..1, as the paper's Torch code has them
STD = (0.229, 0.224, 0.225)
CHANNELS = {"channels_last": (3,), "channels_first": (3, 1, 1)}  # the shape of a number for each channel


being_read: dict[int, tuple[str, float]] = {}  # by thread, the image it reads and since when: `resnext.watching`


class ImageError(ValueError):
    """An image that can't be read; the message is "PATH: reason"."""


@runtime_checkable
class Openable(Protocol):
    """A file that is not on disk by itself (`resnext.trees.Member`); `str()` is its name."""

    def open(self) -> BinaryIO:
        """The content. Raises ValueError or OSError."""
        ...


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the square that the network sees, and the numbers that normalise it.

    The rounding is torchvision's `Resize` and `CenterCrop`, so weights from there keep their accuracy.

    Args:
        size: side of the square, pixels.
        resize: length of the shorter side before the centre crop, pixels; at least `size`, at most MAX_SIDE.
        interpolation: "bilinear" or "bicubic", both antialiased.
        mean: of the three channels, on the scale 0..1; ImageNet's by default.
        std: of the three channels, on the scale 0..1; ImageNet's by default.

    Raises:
        ValueError: a value that is not allowed.

    >>> Preprocessing(size=224, resize=256).apply(np.zeros((300, 400, 3), np.uint8)).shape
    (224, 224, 3)
    """

    size: int
    resize: int
    interpolation: str = "bilinear"
    mean: tuple[float, float, float] = MEAN
    std: tuple[float, float, float] = STD

    def __post_init__(self) -> None:
        if not (_is_length(self.size) and _is_length(self.resize) and self.size <= self.resize <= MAX_SIDE):
            raise ValueError(
                f"got size={self.size!r} and resize={self.resize!r}; both are whole numbers of pixels, "
                f"resize at least size, size at least 1 and resize at most {MAX_SIDE}"
            )
        if self.interpolation not in RESAMPLING:
            raise ValueError(f"got interpolation={self.interpolation!r}; allowed: {', '.join(RESAMPLING)}")
        if not _are_colours(self.mean):
            raise ValueError(f"got mean={self.mean!r}; it is three numbers from 0 to 1")
        if not (_are_colours(self.std) and min(self.std) > 0):
            raise ValueError(f"got std={self.std!r}; it is three numbers above 0, at most 1")

    def apply(self, image: np.ndarray | Image.Image) -> np.ndarray:
        """The centre of `image`, an array uint8 (H, W, 3) or Pillow's, as uint8 (size, size, 3)."""
        picture = _to_rgb(image) if isinstance(image, Image.Image) else _picture(image)
        picture = self._resized(self._without_long_ends(picture))
        return np.asarray(_centre_crop(picture, self.size, self.size))

    def load(self, path: str | Path | Openable) -> np.ndarray:
        """The image file at `path`, or in an archive, as uint8 (size, size, 3). Raises ImageError.

        A JPEG is decoded at a half, a quarter or an eighth where that leaves twice the pixels that resizing needs, the
        gap that Pillow's `thumbnail` keeps: 2000 x 1500 in 5.5 ms instead of 23 (2-core AMD EPYC, Pillow 12.3).
        """
        return self.apply(read_image(path, at_least=2 * self.resize))

    def to_json(self) -> dict[str, Any]:
        """The five facts, ready for `json.dumps`."""
        return asdict(self) | {"mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Preprocessing:
        """The inverse of `to_json`. Raises ValueError for a missing (-) or unknown (+) key, or a bad value.

        >>> Preprocessing.from_json(Preprocessing(64, 72).to_json()) == Preprocessing(64, 72)
        True
        """
        names = {field.name for field in fields(cls)}
        wrong = [f"-{key}" for key in sorted(names - set(document))]
        wrong += [f"+{key}" for key in sorted(set(document) - names)]
        if wrong:
            raise ValueError(f"preprocessing has the wrong keys (- missing, + unknown): {', '.join(wrong)}")
        triples = {key: tuple(document[key]) for key in ("mean", "std") if isinstance(document[key], list)}
        return cls(**{**document, **triples})

    def _without_long_ends(self, picture: Image.Image) -> Image.Image:
        # Resized to 256 at its shorter side, a 1 x 10,000 image would be 2 GB of which the crop keeps a ten
        # thousandth. 64 squares' length leaves every ordinary image alone.
        longest = max(1, 64 * self.size * min(picture.size) // self.resize)
        if max(picture.size) <= max(longest, min(picture.size)):
            return picture
        return _centre_crop(picture, min(picture.width, longest), min(picture.height, longest))

    def _resized(self, picture: Image.Image) -> Image.Image:
        shorter = min(picture.size)
        if shorter == self.resize:
            return picture
        width, height = (self.resize * side // shorter for side in picture.size)
        return picture.resize((width, height), RESAMPLING[self.interpolation])


def preprocess_input(images, data_format: str | None = None, preprocessing: Preprocessing | None = None):
    """Normalise images from 0..255 as the published ResNeXts expect them; `ResNeXt` takes what this gives.

    Args:
        images: NumPy array, or tensor of Keras's backend, (..., height, width, 3) or channels first, RGB, 0..255. Whole
            numbers become floats of `keras.config.floatx()`, floats keep their kind.
        data_format: "channels_last" or "channels_first"; by default `keras.config.image_data_format()`.
        preprocessing: that belongs to the weights: `network.preprocessing`; by default ImageNet's mean and deviation,
            with which all published weights were trained but MXNet's (qubvel's files).

    Raises:
        ValueError: another data format, or not three channels.

    >>> preprocess_input(np.full((1, 1, 3), 255.0), "channels_last").round(2).tolist()
    [[[2.25, 2.43, 2.64]]]
    """
    import keras

    data_format = data_format or keras.config.image_data_format()
    if data_format not in CHANNELS:
        raise ValueError(f"`data_format` must be one of {', '.join(CHANNELS)}. Received: {data_format!r}")
    shape = CHANNELS[data_format]
    tensor = images if isinstance(images, np.ndarray) else keras.ops.convert_to_tensor(images)
    if len(tensor.shape) < 3 or tensor.shape[-len(shape)] != 3:
        raise ValueError(f"`images` must have 3 channels, {data_format}. Received: shape {tuple(tensor.shape)}")
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    dtype = dtype if "float" in dtype else keras.config.floatx()
    statistics = (preprocessing.mean, preprocessing.std) if preprocessing else (MEAN, STD)
    cast = np.asarray if isinstance(images, np.ndarray) else keras.ops.cast
    mean, std = (cast(np.reshape(value, shape), dtype) for value in statistics)
    return (cast(tensor, dtype) / 255 - mean) / std


def read_image(
    source: str | Path | BinaryIO | Openable, name: str | None = None, at_least: int | None = None
) -> np.ndarray:
    """The pixels of an image file or stream, uint8 (H, W, 3), upright as its EXIF orientation says.

    The first frame of an animation; transparency is laid on white; 16-bit greyscale is scaled, not clipped.

    Args:
        source: a path, a file in an archive, or a stream open for reading bytes.
        name: what to call it in the error; the path by default.
        at_least: pixels that both sides must keep; a JPEG that is much larger may come smaller, which is quicker.

    Raises:
        ImageError: not a regular file, not one of FORMATS, more than MAX_PIXELS, or damaged.
    """
    with _opened(source, name) as image:
        if at_least:
            image.draft(None, (at_least, at_least))
        return np.asarray(_upright(image))


def read_crop(
    source: str | Path | BinaryIO | Openable | np.ndarray,
    choose_box: Callable[[int, int], tuple[int, int, int, int]],
    size: int,
    interpolation: str,
) -> np.ndarray:
    """A crop of an image, resized antialiased to uint8 (size, size, 3).

    A JPEG is decoded at a half, a quarter or an eighth where that leaves twice the pixels that the crop is resized to.
    At the edges of the crop the filter sees the pixels outside it, where cutting before resizing would repeat the edge.

    Args:
        source: a path, a stream open for reading bytes, a member of an archive, or uint8 (H, W, 3).
        choose_box: takes width and height of the upright image; returns left, upper, right and lower, in its pixels.
        size: side of the result, pixels.
        interpolation: "bilinear" or "bicubic".

    Raises:
        ImageError: what `read_image` refuses, or a box that leaves the image.

    >>> image = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    >>> read_crop(image, lambda width, height: (2, 4, 4, 6), 2, "bilinear")[..., 0].tolist()
    [[102, 105], [126, 129]]
    """
    if isinstance(source, np.ndarray):
        picture = _picture(source)
        return _resized_box(picture, choose_box(*picture.size), size, interpolation)
    with _opened(source) as image:
        sideways = image.getexif().get(ExifTags.Base.Orientation, 1) in SIDEWAYS
        box = choose_box(*(image.size[::-1] if sideways else image.size))
        scale = _drafted(image, min(box[2] - box[0], box[3] - box[1]) // (2 * size))
        return _resized_box(_upright(image), tuple(side / scale for side in box), size, interpolation)


def read_with_format(source: str | Path | Openable) -> tuple[np.ndarray, str]:
    """The pixels as `read_image` gives them, and which of FORMATS the file has. Raises ImageError."""
    with _opened(source) as image:
        return np.asarray(_upright(image)), image.format or "unknown"


def check_header(path: str | Path | Openable) -> None:
    """Raise the ImageError of `read_image` where the header alone shows that the file can't be read."""
    with _opened(path):
        pass


def printable(name: object) -> str:
    """`str(name)`, in quotes and escaped if it has line breaks or bytes that a terminal can't show."""
    text = str(name)
    return text if text.isprintable() else repr(text)


@contextmanager
def _opened(source: str | Path | BinaryIO | Openable, name: str | None = None) -> Iterator[Image.Image]:
    """The image with only its header read; whatever fails inside the `with` becomes an ImageError."""
    name = name or ("image" if hasattr(source, "read") else printable(source))
    being_read[threading.get_ident()] = name, time.monotonic()
    try:
        with Image.open(_content(source), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            yield image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"{name}: more than {MAX_PIXELS:,} pixels") from error
    except Image.UnidentifiedImageError as error:
        raise ImageError(f"{name}: not a {', '.join(FORMATS[:-1])} or {FORMATS[-1]} image") from error
    except Exception as error:  # damaged files make Pillow raise OSError, ValueError, SyntaxError, struct.error, ...
        raise ImageError(f"{name}: {_reason(error)}") from error
    finally:
        del being_read[threading.get_ident()]


def _content(source: str | Path | BinaryIO | Openable) -> str | os.PathLike[str] | BinaryIO:
    """What Pillow opens."""
    if isinstance(source, str | os.PathLike):
        _check_file(source)
        return source
    return source.open() if isinstance(source, Openable) else source


def _check_file(path: str | os.PathLike[str]) -> None:
    # Before opening: opening a FIFO would wait for a writer for ever.
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("not a regular file")
    if status.st_size == 0:
        raise ValueError("empty file")


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__


def _drafted(image: Image.Image, most: int) -> int:
    """Have a JPEG decoded at one part in 2, 4 or 8, at most `most`. Returns which; 1 for all other images."""
    scale = max((scale for scale in (1, 2, 4, 8) if scale <= most), default=1)
    # Pillow takes the largest scale that keeps this size, which is this one: width // (width // 4) is 4 to 7.
    drafted = image.draft(None, (image.width // scale, image.height // scale))
    return scale if drafted else 1


def _resized_box(picture: Image.Image, box: tuple[float, ...], size: int, interpolation: str) -> np.ndarray:
    left, upper, right, lower = box
    return np.asarray(picture.resize((size, size), RESAMPLING[interpolation], (left, upper, right, lower)))


def _upright(image: Image.Image) -> Image.Image:
    ImageOps.exif_transpose(image, in_place=True)  # else it copies the pixels even where nothing turns
    return _to_rgb(image)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and not image.has_transparency_data:
        return image  # `convert` would copy it
    if image.mode.startswith("I"):
        # Pillow's own conversion clips at 255: every value of 16 bits above that would be white.
        levels = np.asarray(image).clip(0, 65535).astype(np.uint32)
        return Image.fromarray(((levels + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _centre_crop(image: Image.Image, width: int, height: int) -> Image.Image:
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return image.crop((left, top, left + width, top + height))


def _picture(image: np.ndarray) -> Image.Image:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        raise ValueError(f"got an array of {image.dtype} {image.shape}; an image is uint8 (H, W, 3)")
    return Image.fromarray(image)


def _is_length(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _are_colours(values: object) -> bool:
    if not isinstance(values, tuple) or len(values) != 3:
        return False
    return all(isinstance(value, int | float) and 0 <= value <= 1 for value in values)
