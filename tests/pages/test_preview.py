"""`resnext preview`: each row is an image and what training sees of it."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from resnext import get_recipe, preview
from resnext.pages.preview import COLUMNS, GAP, IMAGES, LEAST
from support.command import refusal, resnext
from support.photos import COLOURS, write_photos

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos") / "photos", COLOURS, 12)


def tiles(path, size):
    """The sheet's images, uint8 (rows, columns, size, size, 3), without captions and not enlarged."""
    factor = -(-LEAST // size)
    tile = factor * size + GAP
    with Image.open(path) as picture:
        sheet = np.pad(np.asarray(picture)[round(1.6 * tile / 7) :], ((0, GAP), (0, GAP), (0, 0)))
    assert sheet.shape == (IMAGES * tile, (COLUMNS + 1) * tile, 3)
    enlarged = sheet.reshape(IMAGES, tile, COLUMNS + 1, tile, 3).transpose(0, 2, 1, 3, 4)[:, :, :-GAP, :-GAP]
    images = enlarged[:, :, ::factor, ::factor]
    assert (enlarged == images.repeat(factor, axis=2).repeat(factor, axis=3)).all()
    return images


def test_each_row_is_an_image_and_what_training_sees_of_it(photos, tmp_path):
    out = tmp_path / "sheet.png"
    process = resnext("preview", photos, "--recipe", "paper-cifar", "--image-size", 16, "--out", out)
    assert process.stdout == f"preview: {out}\n"
    sheet = tiles(out, 16)
    assert sheet.shape == (IMAGES, COLUMNS + 1, 16, 16, 3)
    fill = np.round(255 * np.array(get_recipe("paper-cifar").mean)).astype(np.uint8)
    for row in sheet:
        original, *variants = row
        assert not (original == fill).all(axis=-1).any()
        assert len({variant.tobytes() for variant in variants}) > COLUMNS // 2
        assert any((variant == fill).all(axis=-1).any() for variant in variants)
        colour = original.mean(axis=(0, 1)).argmax()
        assert all(variant.mean(axis=(0, 1)).argmax() == colour for variant in variants)


def test_mirrors_rotations_hues_grey_and_blur_are_shown(photos, tmp_path):
    out = tmp_path / "sheet.png"
    options = ["--vertical-flip", "--rotate", "20", "--hue", "0.5", "--greyscale", "0.5", "--blur", "0.5"]
    process = resnext("preview", photos, "--recipe", "smoke", "--image-size", 24, *options, "--out", out)
    assert process.stdout == f"preview: {out}\n", process.stderr
    originals, variants = np.split(tiles(out, 24), [1], axis=1)
    assert len({variant.tobytes() for row in variants for variant in row}) == IMAGES * COLUMNS
    grey = (variants == variants[..., :1]).all((2, 3, 4))
    assert 10 < grey.sum() < 38  # half of 48
    colours, before = (images.mean((2, 3)).argmax(-1) for images in (variants, originals))
    assert (colours != before)[~grey].mean() > 0.3  # of hues from the whole circle, two thirds
    assert (originals != originals[..., :1]).any((2, 3, 4)).all()


def test_one_augmentation_alone_is_shown(photos, tmp_path):
    recipe = dataclasses.replace(get_recipe("smoke"), image_size=24, flip=False)

    def sheet(**fields):
        path = preview(photos, tmp_path / "sheet.png", recipe=dataclasses.replace(recipe, **fields))
        return np.split(tiles(path, 24), [1], axis=1)

    original, variants = sheet()
    assert (variants == original).all()
    original, variants = sheet(vertical_flip=True)
    upright, turned = ((variants == image).all((2, 3, 4)) for image in (original, original[:, :, ::-1]))
    assert (upright ^ turned).all()
    assert 10 < turned.sum() < 38
    _, variants = sheet(rotate=45.0, mean=(0.2, 0.4, 0.6))
    corners = (variants[:, :, [0, 0, -1, -1], [0, -1, 0, -1]] == (51, 102, 153)).all(-1)
    assert corners.all(-1).sum() > 40  # of 48: only the smallest angles fill the corners
    original, variants = sheet(blur=1.0)
    assert (variants.std((2, 3, 4)) < original.std((2, 3, 4))).mean() > 0.9


def test_the_seed_says_what_is_drawn(photos, tmp_path):
    recipe = dataclasses.replace(get_recipe("rsb-a2"), image_size=24)
    sheets = [
        preview(photos, tmp_path / f"{i}.png", recipe=recipe, seed=seed).read_bytes()
        for i, seed in enumerate((1, 1, 2))
    ]
    assert sheets[0] == sheets[1] != sheets[2]


def test_without_a_size_images_have_the_one_of_the_training(photos, tmp_path):
    pytest.importorskip("sklearn.datasets")
    chosen = preview(photos, tmp_path / "photos.png", recipe=get_recipe("photos"))
    tiles(chosen, 64)  # as train chooses for few images
    named = preview("digits", tmp_path / "digits.png", recipe=get_recipe("seed-cifar10"))
    tiles(named, 32)  # of the recipe's own network


def test_captions_say_what_the_columns_are(photos, tmp_path):
    path = preview(photos, tmp_path / "sheet.png", recipe=get_recipe("photos"))
    with Image.open(path) as picture:
        dark = (np.asarray(picture.convert("L"))[: round(1.6 * (64 + GAP) / 7)] < 128).any(0)
    first, others = dark[: 64 + GAP], dark[64 + GAP :]
    assert 40 < first.nonzero()[0].max() < 64 + GAP - 1  # within its column
    assert others.nonzero()[0].min() < 4
    assert 50 < others.nonzero()[0].max() < 160


def test_a_place_that_cannot_be_written_to_is_one_line(photos, tmp_path):
    for out in (tmp_path / "nowhere" / "sheet.png", tmp_path / "sheet.gif"):
        assert refusal(resnext("preview", photos, "--out", out)) == (
            f"{out}: can't be written; pass a .png or .jpg file in a folder that exists"
        )
