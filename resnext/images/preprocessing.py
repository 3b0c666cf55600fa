"""The path of an image file to the network: strict reading, resizing and cropping.

`Preprocessing` does not normalise: the first operation of the graph that train and predict run does.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import numpy as np
from PIL import Image

from resnext.errors import ArgumentError, counted
from resnext.images.bands import read_bands, with_channels
from resnext.images.crops import Box
from resnext.images.decode import (
    MAX_PIXELS,
    RESAMPLING,
    read_crop,
    read_image,
    read_picture,
    to_picture,
    to_rgb,
)
from resnext.images.streams import Openable
from resnext.images.threes import by_threes
from resnext.keywords import as_call

Fit = Literal["crop", "squash", "pad"]
Colours = Literal["rgb", "grey"]
Channels = Colours | int
CHANNELS_ALLOWED = "rgb (3), grey (1), or the number of channels, 2 or 4 to 64"
LUMA = (0.299, 0.587, 0.114)  # shares of red, green and blue in grey (ITU-R BT.601), as in Pillow's mode L
Colour = tuple[float, ...]  # a number for each channel
MAX_CHANNELS = 64
ChooseBox = Callable[[int, int], Box]
MAX_SIDE = math.isqrt(MAX_PIXELS)  # longest shorter side that an image is resized to, pixels


# Mean and standard deviation of ImageNet's training images, on the scale 0..1, as in the paper's Torch code.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
CHANNELS = {"channels_last": (3,), "channels_first": (3, 1, 1)}  # shape of an array with one number for each channel


@dataclass(frozen=True)
class Preprocessing:
    """The steps from an image to the square that the network receives, and the statistics that normalise it.

    Sizes are rounded as in torchvision's `Resize` and `CenterCrop`, so weights from torchvision keep their accuracy.

    Args:
        size: side of the square in pixels.
        resize: length of the shorter side before the centre crop in pixels; at least `size`, at most MAX_SIDE.
        interpolation: "bilinear" or "bicubic", both antialiased.
        mean: means of the three channels, on the scale 0..1; by default those of ImageNet.
        std: standard deviations of the three channels, on the scale 0..1; by default those of ImageNet.
        fit: how a non-square image is handled: "crop" keeps its centre; "squash" and "pad" keep the complete image,
            distorted or with bars of the mean colour.
        channels: "rgb"; "grey" for a network of one channel: every image is converted by the shares in LUMA; or the
            number of channels, 2 or 4 to 64, of images that are not colours.

    Raises:
        ArgumentError: a value is not allowed.

    >>> Preprocessing(size=224, resize=256).apply(np.zeros((300, 400, 3), np.uint8)).shape
    (224, 224, 3)
    """

    size: int
    resize: int
    interpolation: str = "bilinear"
    mean: Colour = MEAN
    std: Colour = STD
    fit: Fit = "crop"
    channels: Channels = "rgb"

    def __repr__(self) -> str:
        return as_call(self)

    def __post_init__(self) -> None:
        if not (_is_length(self.size) and _is_length(self.resize) and self.size <= self.resize <= MAX_SIDE):
            raise ArgumentError(
                "`size` and `resize` must be whole numbers of pixels: `size` at least 1, `resize` at least `size` and "
                f"at most {MAX_SIDE}. Received: {self.size!r} and {self.resize!r}"
            )
        if self.interpolation not in RESAMPLING:
            raise ArgumentError(
                f"`interpolation` must be one of {', '.join(RESAMPLING)}. Received: {self.interpolation!r}"
            )
        if not are_channels(self.channels):
            raise ArgumentError(f"`channels` must be {CHANNELS_ALLOWED}. Received: {self.channels!r}")
        counts = {3, self.pixel_channels}
        if not _are_colours(self.mean, counts):
            raise ArgumentError(f"`mean` must be {_in_words(counts)} numbers from 0 to 1. Received: {self.mean!r}")
        if not (_are_colours(self.std, counts) and min(self.std) > 0):
            raise ArgumentError(f"`std` must be {_in_words(counts)} numbers above 0, at most 1. Received: {self.std!r}")
        if self.fit not in get_args(Fit):
            raise ArgumentError(f"`fit` must be one of {', '.join(get_args(Fit))}. Received: {self.fit!r}")

    @property
    def pixel_channels(self) -> int:
        """The number of channels of a prepared image before it is normalised: 3, also for grey ones, or `channels`."""
        return self.channels if isinstance(self.channels, int) else 3

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of a prepared image before it is normalised: (size, size, channels)."""
        return self.size, self.size, self.pixel_channels

    @property
    def channel_count(self) -> int:
        """The number of channels that the network receives: as those of pixels, or 1 for grey images."""
        return 1 if self.channels == "grey" else self.pixel_channels

    @property
    def fill(self) -> tuple[int, ...]:
        """The mean colour, from 0 to 255 in each channel of a prepared image, for empty areas."""
        return tuple(round(255 * mean) for mean in self._for_pixels(self.mean))

    def _for_pixels(self, values: Colour) -> Colour:
        """Return a number for each channel of a prepared image; those of three colours are averaged for others."""
        count = self.pixel_channels
        return values if len(values) == count else (sum(values) / len(values),) * count

    def apply(self, image: np.ndarray | Image.Image) -> np.ndarray:
        """Return `image`, uint8 (H, W, channels) or a Pillow image, as uint8 (size, size, channels)."""
        if isinstance(image, np.ndarray):
            return self.by_threes(image, lambda part, three: part._apply(three))
        return self._apply(image)

    def _apply(self, image: np.ndarray | Image.Image) -> np.ndarray:
        return np.asarray(centre_crop(self.resized(image), self.size, self.size))

    def by_threes(self, image: np.ndarray, work: Callable[[Preprocessing, np.ndarray], np.ndarray]) -> np.ndarray:
        """Return what `work` makes of each three channels of an image, put together: Pillow's images have three.

        Args:
            image: uint8 (H, W, channels).
            work: function from a preprocessing of three channels and uint8 (H, W, 3) to uint8 (..., 3).

        Raises:
            ArgumentError: the image has other channels.
        """
        image = with_channels(image, self.channels)
        if not isinstance(self.channels, int):
            return work(self, image)
        mean, std = self._for_pixels(self.mean), self._for_pixels(self.std)

        def of_three(three: np.ndarray, places: list[int]) -> np.ndarray:
            means, stds = (tuple(values[i] for i in places) for values in (mean, std))
            return work(replace(self, channels="rgb", mean=means, std=stds), three)

        return by_threes(image, of_three)

    def resized(self, image: np.ndarray | Image.Image) -> Image.Image:
        """Return an image of three channels as it is before the crop: its shorter side, or both, are `resize`."""
        picture = to_rgb(image) if isinstance(image, Image.Image) else to_picture(image)
        if self.fit == "crop":
            return self._resized(self._without_long_ends(picture))
        if self.fit == "squash":
            return picture.resize((self.resize, self.resize), RESAMPLING[self.interpolation])
        return self._padded(picture, self.resize)

    def load(self, path: str | Path | BinaryIO | Openable) -> np.ndarray:
        """Return the image file at `path`, on disk or in an archive, as uint8 (size, size, 3). Raises ImageError.

        A JPEG is decoded at 1/2, 1/4 or 1/8 of its size if that leaves at least twice the pixels that resizing needs,
        the margin that Pillow's `thumbnail` keeps. A JPEG of 2000 x 1500 pixels then loads in 5.5 ms instead of 23 ms
        (2-core AMD EPYC, Pillow 12.3).
        """
        return self.apply(self.read(path))

    def read(self, path: str | Path | BinaryIO | Openable) -> np.ndarray | Image.Image:
        """Return the image file at `path` in RGB, with at least twice the pixels that resizing needs; or its bands."""
        if isinstance(self.channels, int):
            return read_bands(path, self.channels)
        return read_picture(path, at_least=2 * self.resize)

    def seen(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return the box of an image that the network sees, in its pixels: left, upper, right, lower.

        With "pad", the box is larger than a non-square image.

        >>> Preprocessing(size=224, resize=256).seen(512, 256)
        (144.0, 16.0, 368.0, 240.0)
        """
        share = self.size / self.resize
        sides = {"crop": (min(width, height),) * 2, "squash": (width, height), "pad": (max(width, height),) * 2}
        across, down = (share * side for side in sides[self.fit])
        left, upper = (width - across) / 2, (height - down) / 2
        return left, upper, left + across, upper + down

    def load_crop(self, image: str | Path | Openable | np.ndarray, choose_box: ChooseBox) -> np.ndarray:
        """Return a box of an image, or of the square that it fills complete, as uint8 (size, size, channels).

        Args:
            image: path, member of an archive, or uint8 (H, W, channels).
            choose_box: function from a width and a height to a box (left, upper, right, lower) inside.

        Raises:
            ImageError: the image can't be read.
        """
        if isinstance(self.channels, int) and not isinstance(image, np.ndarray):
            image = read_bands(image, self.channels)
        if isinstance(image, np.ndarray):
            choose_box = functools.cache(choose_box)  # one box for all channels
            return self.by_threes(image, lambda part, three: part._load_crop(three, choose_box))
        return self._load_crop(image, choose_box)

    def _load_crop(self, image: str | Path | Openable | np.ndarray, choose_box: ChooseBox) -> np.ndarray:
        if self.fit == "squash":
            choose_box = _of_square(choose_box)
        elif self.fit == "pad":
            pixels = image if isinstance(image, np.ndarray) else read_image(image, at_least=2 * self.size)
            longest = min(max(pixels.shape), 2 * self.size)
            image = np.asarray(self._padded(to_picture(pixels), longest))
        return read_crop(image, choose_box, self.size, self.interpolation)

    def to_json(self) -> dict[str, Any]:
        """Return the values, ready for `json.dumps`."""
        document = asdict(self) | {"mean": list(self.mean), "std": list(self.std)}
        if self.channels == "rgb":  # as in older files
            del document["channels"]
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Preprocessing:
        """Invert `to_json`. Raises ArgumentError for a missing (-) or unknown (+) key, or a value that is not allowed.

        `fit` and `channels` may be missing, as they are in older files.

        >>> Preprocessing.from_json(Preprocessing(64, 72).to_json()) == Preprocessing(64, 72)
        True
        """
        names = {field.name for field in fields(cls)}
        wrong = [f"-{key}" for key in sorted(names - {*document, "fit", "channels"})]
        wrong += [f"+{key}" for key in sorted(set(document) - names)]
        if wrong:
            raise ArgumentError(f"preprocessing has the wrong keys (- missing, + unknown): {', '.join(wrong)}")
        triples = {key: tuple(document[key]) for key in ("mean", "std") if isinstance(document[key], list)}
        return cls(**{**document, **triples})

    def scale_and_offset(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the normalisation as `image * scale + offset`, float64 (channels,) each, for values from 0 to 255.

        A grey image has the mean of the three means and of the three deviations, as in timm.

        >>> Preprocessing(32, 32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)).scale_and_offset()[1].tolist()
        [-1.0, -1.0, -1.0]
        """
        mean, std = (np.array(self._for_pixels(values), np.float64) for values in (self.mean, self.std))
        if self.channels == "grey":
            mean, std = mean.mean(keepdims=True), std.mean(keepdims=True)
        return 1 / (255 * std), -mean / std

    def normalised(self, images: np.ndarray) -> np.ndarray:
        """Return uint8 (..., height, width, channels) as the network receives it, float32 of that shape or grey."""
        if self.channels == "grey":
            images = images.astype(np.float32) @ np.array(LUMA, np.float32)[:, None]
        scale, offset = self.scale_and_offset()
        return images * scale.astype(np.float32) + offset.astype(np.float32)

    def _without_long_ends(self, picture: Image.Image) -> Image.Image:
        # Resized to 256 on its shorter side, a 1 x 10,000 image would take 2 GB, and the crop would keep one part in
        # ten thousand. A limit of 64 times the square leaves every ordinary image unchanged.
        longest = max(1, 64 * self.size * min(picture.size) // self.resize)
        if max(picture.size) <= max(longest, min(picture.size)):
            return picture
        return centre_crop(picture, min(picture.width, longest), min(picture.height, longest))

    def _padded(self, picture: Image.Image, side: int) -> Image.Image:
        """Return the complete picture on a square of the mean colour."""
        red, green, blue = self.fill
        square = Image.new("RGB", (side, side), (red, green, blue))
        width, height = (max(1, round(length * side / max(picture.size))) for length in picture.size)
        whole = picture.resize((width, height), RESAMPLING[self.interpolation])
        square.paste(whole, ((side - width) // 2, (side - height) // 2))
        return square

    def _resized(self, picture: Image.Image) -> Image.Image:
        shorter = min(picture.size)
        if shorter == self.resize:
            return picture
        width, height = (self.resize * side // shorter for side in picture.size)
        return picture.resize((width, height), RESAMPLING[self.interpolation])


def preprocess_input(images, data_format: str | None = None, preprocessing: Preprocessing | None = None):
    """Normalise images from 0..255 as the published ResNeXts expect; `ResNeXt` accepts the result.

    Args:
        images: NumPy array or tensor of Keras's backend, (..., height, width, 3) or channels first, RGB, 0..255; or
            grey, with one channel. Integers become `keras.config.floatx()`; floats keep their dtype.
        data_format: "channels_last" or "channels_first"; by default `keras.config.image_data_format()`.
        preprocessing: preprocessing that belongs to the weights (`network.preprocessing`); by default ImageNet's mean
            and standard deviation, with which all published weights except MXNet's (qubvel's files) were trained.

    Raises:
        ArgumentError: the data format is unknown, or the images have neither one nor three channels, or three for a
            network of one.

    >>> preprocess_input(np.full((1, 1, 3), 255.0), "channels_last").round(2).tolist()
    [[[2.25, 2.43, 2.64]]]
    """
    import keras

    data_format = data_format or keras.config.image_data_format()
    if data_format not in CHANNELS:
        raise ArgumentError(f"`data_format` must be one of {', '.join(CHANNELS)}. Received: {data_format!r}")
    shape = CHANNELS[data_format]
    known = preprocessing or Preprocessing(1, 1)
    tensor = images if isinstance(images, np.ndarray) else keras.ops.convert_to_tensor(images)
    channels = tensor.shape[-len(shape)] if len(tensor.shape) >= 3 else 0
    if channels == 1 and not isinstance(known.channels, int):
        known = replace(known, channels="grey")
    if channels != known.channel_count:
        count = known.channel_count
        allowed = "1 or 3 channels" if count == 3 else counted(count, "channel")
        raise ArgumentError(f"`images` must have {allowed}, {data_format}. Received: shape {tuple(tensor.shape)}")
    shape = (channels, *shape[1:])
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    dtype = dtype if "float" in dtype else keras.config.floatx()
    cast = np.asarray if isinstance(images, np.ndarray) else keras.ops.cast
    scale, offset = (cast(np.reshape(value, shape), dtype) for value in known.scale_and_offset())
    return cast(tensor, dtype) * scale + offset


def centre_crop(image: Image.Image, width: int, height: int) -> Image.Image:
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return image.crop((left, top, left + width, top + height))


def _of_square(choose_box: ChooseBox) -> ChooseBox:
    """Return a function that chooses a box of the square to which an image is squashed, in the image's own pixels."""

    def choose(width: int, height: int) -> Box:
        side = max(width, height)
        left, upper, right, lower = choose_box(side, side)
        return left * width // side, upper * height // side, -(-right * width // side), -(-lower * height // side)

    return choose


def _is_length(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def are_channels(value: object) -> bool:
    """Return whether a network can take such channels: CHANNELS_ALLOWED."""
    if isinstance(value, int) and not isinstance(value, bool):
        return 2 <= value <= MAX_CHANNELS and value != 3
    return value in get_args(Colours)


def _in_words(counts: set[int]) -> str:
    return " or ".join("three" if count == 3 else str(count) for count in sorted(counts))


def _are_colours(values: object, counts: set[int]) -> bool:
    if not isinstance(values, tuple) or len(values) not in counts:
        return False
    return all(isinstance(value, int | float) and 0 <= value <= 1 for value in values)
