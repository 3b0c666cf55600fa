"""Preprocessing: sizes, crops, whole images, and what its values may be."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resnext.images import decode
from resnext.images.preprocessing import Preprocessing
from support.images import COLOURS, saved


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shape", [(50, 81), (83, 50), (20, 20), (33, 47)])
def test_apply_is_pillows_resize_and_a_centre_crop(shape, interpolation):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    height, width = (int(36 * side / min(shape)) for side in shape)
    method = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[interpolation]
    resized = np.asarray(Image.fromarray(image).resize((width, height), method))
    top, left = round((height - 32) / 2), round((width - 32) / 2)
    pixels = Preprocessing(32, 36, interpolation).apply(image)
    np.testing.assert_array_equal(pixels, resized[top : top + 32, left : left + 32])


def test_apply_leaves_an_image_of_the_right_size_alone():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    np.testing.assert_array_equal(Preprocessing(32, 32).apply(image), image)
    np.testing.assert_array_equal(Preprocessing(24, 32).apply(image), image[4:28, 4:28])


def test_apply_takes_pillow_images_and_load_takes_files(tmp_path):
    wanted = Preprocessing(5, 5).apply(COLOURS)
    np.testing.assert_array_equal(Preprocessing(5, 5).apply(Image.fromarray(COLOURS)), wanted)
    path = saved(Image.fromarray(COLOURS), tmp_path / "a.png")
    np.testing.assert_array_equal(Preprocessing(5, 5).load(path), wanted)
    np.testing.assert_array_equal(Preprocessing(5, 5).load(str(path)), wanted)


@pytest.mark.parametrize("shape", [(1, 10_000), (10_000, 1), (2, 30_000)])
def test_extreme_aspects_stay_small(monkeypatch, shape):
    sizes = []
    resize = Image.Image.resize
    monkeypatch.setattr(Image.Image, "resize", lambda self, size, how: sizes.append(size) or resize(self, size, how))
    image = np.zeros((*shape, 3), np.uint8)
    middle = np.s_[shape[0] * 49 // 100 : shape[0] * 51 // 100 + 1, shape[1] * 49 // 100 : shape[1] * 51 // 100 + 1]
    image[middle] = 200
    pixels = Preprocessing(32, 40).apply(image)
    assert pixels.shape == (32, 32, 3)
    assert pixels[16, 16].tolist() == [200, 200, 200]
    assert max(sizes[0]) <= 64 * 32


def test_a_long_image_below_the_limit_is_not_cut_first():
    image = np.random.default_rng(0).integers(0, 256, (7, 201, 3), dtype=np.uint8)
    whole = np.asarray(Image.fromarray(image).resize((229, 8), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(Preprocessing(8, 8).apply(image), whole[:, 110:118])


def quarter(width, height, red, size=(160, 40)):
    """A grey image with a red part: (left, upper, right, lower) in shares."""
    pixels = np.full((size[1], size[0], 3), 90, np.uint8)
    left, upper, right, lower = red
    pixels[round(upper * height) : round(lower * height), round(left * width) : round(right * width)] = (250, 0, 0)
    return pixels


@pytest.mark.parametrize("turned", [False, True])
def test_squash_and_pad_keep_the_whole_image(turned):
    image = quarter(160, 40, (0, 0, 0.25, 1))  # red at the end that a crop of the centre leaves out
    image = np.ascontiguousarray(image.transpose(1, 0, 2)) if turned else image

    def applied(**how):
        pixels = Preprocessing(32, 32, **how).apply(image)
        return pixels.transpose(1, 0, 2) if turned else pixels

    assert (applied()[..., 0] == 90).all()
    squashed = applied(fit="squash")
    assert (squashed[:, :6] == (250, 0, 0)).all()
    assert (squashed[:, 10:] == 90).all()
    padded = applied(fit="pad", mean=(0.2, 0.4, 0.6))
    assert (padded[:11] == (51, 102, 153)).all()
    assert (padded[-11:] == (51, 102, 153)).all()
    assert (padded[13:19, :6] == (250, 0, 0)).all()
    assert (padded[13:19, 10:] == 90).all()


@pytest.mark.parametrize("fit", ["squash", "pad"])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_boxes_of_whole_images_are_boxes_of_the_square(fit, suffix, tmp_path):
    """A box that is the whole square shows what evaluation sees, and a half of it shows that half."""
    pixels = quarter(1600, 400, (0, 0, 0.25, 1), (1600, 400))
    path = saved(Image.fromarray(pixels), tmp_path / f"x{suffix}")
    preprocessing = Preprocessing(32, 32, fit=fit)
    for image in (path, pixels):
        whole = preprocessing.load_crop(image, lambda width, height: (0, 0, width, height))
        assert abs(whole.astype(int) - preprocessing.apply(pixels)).mean() < 4
        left = preprocessing.load_crop(image, lambda width, height: (0, height // 4, width // 2, 3 * height // 4))
        middle = left[12:20]
        assert (middle[:, :12, 0] > 230).all()
        assert (abs(middle[:, 20:].astype(int) - 90) < 15).all()


@pytest.mark.parametrize("fit", ["squash", "pad"])
def test_the_longest_images_can_be_kept_whole(fit):
    for shape in ((1, 10_000, 3), (10_000, 1, 3), (1, 1, 3)):
        preprocessing = Preprocessing(8, 8, fit=fit)
        assert preprocessing.apply(np.zeros(shape, np.uint8)).shape == (8, 8, 3)
        assert preprocessing.load_crop(np.zeros(shape, np.uint8), lambda w, h: (0, 0, w, h)).shape == (8, 8, 3)


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3))])
def test_arrays_that_are_not_images_are_refused(image):
    with pytest.raises(ValueError, match=r"got an array of .*an image is uint8 \(H, W, channels\)"):
        Preprocessing(2, 2).apply(image)


@pytest.mark.parametrize(
    ("values", "pattern"),
    [
        ({"size": 0}, "`size` at least 1"),
        ({"size": 8.0}, "whole numbers"),
        ({"size": True}, "whole numbers"),
        ({"resize": 7}, "`resize` at least `size` .* Received: 8 and 7"),
        ({"resize": 8001}, "`resize` at least `size` and at most 8000. Received: 8 and 8001"),
        ({"interpolation": "nearest"}, "`interpolation` must be one of bilinear, bicubic. Received: 'nearest'"),
        ({"mean": (124, 116, 104)}, "`mean` must be three numbers from 0 to 1. Received: "),
        ({"mean": (0.5, 0.5)}, "`mean` must be"),
        ({"mean": (float("nan"), 0.5, 0.5)}, "`mean` must be"),
        ({"mean": "abc"}, "`mean` must be"),
        ({"std": (0.2, 0, 0.2)}, "`std` must be three numbers above 0"),
        ({"fit": "stretch"}, "`fit` must be one of crop, squash, pad. Received: 'stretch'"),
    ],
)
def test_values_that_are_not_allowed_are_named(values, pattern):
    with pytest.raises(ValueError, match=pattern):
        Preprocessing(**{"size": 8, "resize": 8, **values})


def test_json_round_trip():
    facts = Preprocessing(24, 32, "bicubic", (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), "pad")
    document = json.loads(json.dumps(facts.to_json()))
    assert sorted(document) == ["fit", "interpolation", "mean", "resize", "size", "std"]
    assert Preprocessing.from_json(document) == facts
    del document["fit"]  # of an older file
    assert Preprocessing.from_json(document).fit == "crop"


def test_json_with_a_wrong_key_is_refused():
    document = Preprocessing(8, 8).to_json()
    del document["mean"]
    with pytest.raises(ValueError, match=r"- missing, \+ unknown.*: -mean, \+crop$"):
        Preprocessing.from_json({**document, "crop": 1})
    with pytest.raises(ValueError, match=r"`size` .* Received: '8'"):
        Preprocessing.from_json({**Preprocessing(8, 8).to_json(), "size": "8"})


def test_keras_is_not_imported():
    code = "import sys, resnext.images.preprocessing; print('keras' in sys.modules)"
    root = Path(decode.__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True).stdout == "False\n"
