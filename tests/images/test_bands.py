"""Images of other channels than three: from files of several pages or bands, and through every step."""

import io

import numpy as np
import pytest
from PIL import Image

from resnext.data.batches import Sampler
from resnext.errors import ArgumentError, ImageError
from resnext.images.bands import as_shown, check_bands, read_bands, with_channels
from resnext.images.preprocessing import Preprocessing, preprocess_input
from resnext.images.views import Views
from resnext.recipes.recipe import Recipe

pytestmark = pytest.mark.once
RNG = np.random.default_rng(0)


def a_tiff(path, pages, **options):
    first, *others = (page if isinstance(page, Image.Image) else Image.fromarray(page) for page in pages)
    first.save(path, save_all=True, append_images=others, **options)
    return path


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate"])
def test_the_pages_of_a_tiff_are_its_channels(tmp_path, compression):
    pixels = RNG.integers(0, 256, (9, 7, 5), np.uint8)
    path = a_tiff(tmp_path / "a.tif", [pixels[..., i] for i in range(5)], compression=compression)
    assert np.array_equal(read_bands(path, 5), pixels)
    assert np.array_equal(read_bands(io.BytesIO(path.read_bytes()), 5), pixels)
    check_bands(path, 5)


def test_a_page_may_have_several_bands_and_16_bits(tmp_path):
    colours, near = RNG.integers(0, 256, (9, 7, 3), np.uint8), RNG.integers(0, 65536, (9, 7), np.uint16)
    found = read_bands(a_tiff(tmp_path / "a.tif", [colours, near]), 4)
    assert np.array_equal(found[..., :3], colours)
    assert np.array_equal(found[..., 3], np.rint(near / 257))


def test_four_bands_are_not_transparency(tmp_path):
    pixels = RNG.integers(0, 256, (9, 7, 4), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(read_bands(tmp_path / "a.png", 4), pixels)
    assert np.array_equal(Preprocessing(7, 7, channels=4).load(tmp_path / "a.png"), pixels[1:8])


def test_pages_are_turned_upright(tmp_path):
    pages = [RNG.integers(0, 256, (4, 6), np.uint8) for _ in range(2)]
    path = a_tiff(tmp_path / "a.tif", pages, tiffinfo={274: 6})
    assert np.array_equal(read_bands(path, 2), np.rot90(np.stack(pages, axis=-1), -1))


def other_sizes(path):
    return a_tiff(path, [np.zeros((4, 6), np.uint8), np.zeros((6, 4), np.uint8)])


def a_palette(path):
    return a_tiff(path, [Image.new("P", (4, 4)), Image.new("P", (4, 4))])


def an_animation(path):
    a_tiff(path.with_suffix(".gif"), [np.zeros((4, 4), np.uint8), np.full((4, 4), 9, np.uint8)])
    return path.with_suffix(".gif")


def cut_off(path):
    a_tiff(path, [RNG.integers(0, 256, (64, 64), np.uint8)] * 2)
    path.write_bytes(path.read_bytes()[:3000])
    return path


@pytest.mark.parametrize(
    ("make", "count", "reason"),
    [
        (lambda path: a_tiff(path, [np.zeros((4, 4), np.uint8)] * 3), 2, "more channels than the 2 that the network"),
        (lambda path: a_tiff(path, [np.zeros((4, 4), np.uint8)] * 3), 5, "3 channels; the network takes 5"),
        (lambda path: a_tiff(path, [np.zeros((4, 4), np.uint8)]), 5, "1 channel; the network takes 5"),
        (other_sizes, 2, "its pages have different sizes, 6 x 4 and 4 x 6"),
        (a_palette, 2, "pixels of the kind P, which are no channels"),
        (an_animation, 2, r"(1 channel; the network takes 2|pixels of the kind P)"),
        (lambda path: a_tiff(path, [Image.new("L", (9000, 7000))] * 2), 4, "more than 192,000,000 values"),
        (cut_off, 2, ""),
    ],
)  # fmt: skip
def test_other_files_are_refused(tmp_path, make, count, reason):
    path = make(tmp_path / "a.tif")
    with pytest.raises(ImageError, match=rf"a\.(tif|gif): {reason}"):
        read_bands(path, count)


def test_arrays_get_the_channels_of_the_network():
    four = RNG.integers(0, 256, (4, 6, 4), np.uint8)
    assert with_channels(four, 4) is four
    assert with_channels(four, "rgb").shape == (4, 6, 3)
    assert with_channels(four[..., :1], "rgb").shape == (4, 6, 3)
    with pytest.raises(ArgumentError, match=r"\(4, 6, 4\) has 4 channels; the network takes 5"):
        with_channels(four, 5)
    with pytest.raises(
        ArgumentError,
        match=r"has 2 channels, the last number; the network takes 3. A network for them is trained by channels=2",
    ):
        with_channels(four[..., :2], "rgb")


@pytest.mark.parametrize("count", [2, 4, 5, 6, 7])
@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
def test_each_channel_is_prepared_as_a_grey_image_of_its_own(count, fit):
    """What is done to one channel doesn't depend on the others."""
    pixels = RNG.integers(0, 256, (50, 40, count), np.uint8)
    means = tuple(np.linspace(0.2, 0.8, count))
    known = Preprocessing(24, 28, fit=fit, mean=means, std=means, channels=count)
    found = (
        known.apply(pixels),
        Views(known, crops=10).apply(pixels),
        known.load_crop(pixels, lambda *_: (3, 4, 33, 30)),
    )
    for channel in range(count):
        one = Preprocessing(24, 28, fit=fit, mean=(means[channel],) * 3, std=(means[channel],) * 3)
        alone = pixels[..., channel : channel + 1].repeat(3, axis=-1)
        expected = one.apply(alone), Views(one, crops=10).apply(alone), one.load_crop(alone, lambda *_: (3, 4, 33, 30))
        for ours, theirs in zip(found, expected, strict=True):
            assert np.array_equal(ours[..., channel], theirs[..., 0])


def test_all_channels_are_changed_alike():
    """Equal channels stay equal through random crop, rotation, padding, blur and erasing, drawn once for all."""
    recipe = Recipe(
        "own", image_size=24, crop="sized", rotate=40, pad=0.2, vertical_flip=True, blur=0.9, erasing=0.9, channels=5
    )
    known = Preprocessing(24, 24, channels=5)
    pixels = RNG.integers(0, 256, (50, 40, 1), np.uint8).repeat(5, axis=-1)
    for seed in range(10):
        sample = Sampler(recipe, known)(pixels, np.random.default_rng(seed))
        assert sample.shape == (24, 24, 5)
        assert (sample == sample[..., :1]).all()


def test_normalising_uses_each_channels_numbers():
    means = (0.1, 0.2, 0.3, 0.4)
    images = RNG.integers(0, 256, (2, 3, 3, 4), np.uint8)
    known = Preprocessing(3, 3, mean=means, std=means, channels=4)
    np.testing.assert_allclose(known.normalised(images), (images / 255 - means) / means, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(preprocess_input(images, "channels_last", known), known.normalised(images), rtol=1e-5)
    assert Preprocessing.from_json(known.to_json()) == known
    with pytest.raises(ArgumentError, match="must have 4 channels"):
        preprocess_input(images[..., :1], "channels_last", known)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"channels": 3},
            r"`channels` must be rgb \(3\), grey \(1\), or the number of channels, 2 or 4 to 64. Received: 3",
        ),
        ({"channels": 65}, "`channels` .* Received: 65"),
        ({"channels": True}, "`channels` .* Received: True"),
        ({"channels": 5, "mean": (0.5,) * 4}, "must be three or 5 numbers from 0 to 1"),
        ({"channels": 5, "std": (0.5, 0.5, 0.5, 0.5, 0.0)}, "must be three or 5 numbers above 0"),
    ],
)
def test_other_values_are_refused(values, message):
    with pytest.raises(ArgumentError, match=message):
        Preprocessing(8, 8, **values)


def test_colours_of_other_channels_are_not_changed():
    with pytest.raises(ArgumentError, match=r"5 channels are not the three colours that hue and lighting change. Set"):
        Recipe("own", channels=5, hue=0.1, lighting=0.1)


def test_two_channels_are_shown_in_grey():
    assert as_shown(np.arange(8, dtype=np.uint8).reshape(2, 2, 2))[0, 0].tolist() == [0, 0, 0]
