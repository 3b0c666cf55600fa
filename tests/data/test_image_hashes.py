"""The hashes of training images: taken when they are first read, compared later."""

import hashlib

import numpy as np
import pytest

from resnext import Run
from resnext.data.batches import training_batches
from resnext.data.examples import Examples
from resnext.data.image_hashes import ImageHashes
from resnext.data.pixels import Pixels, sha256_of_pixels
from resnext.errors import ImageError
from resnext.images.preprocessing import Preprocessing
from resnext.recipes.complete import complete
from support.archives import pack
from support.photos import load_examples, write_photos
from support.recipes import PLAIN

pytestmark = pytest.mark.once


def read_epoch(examples, hashes):
    recipe = complete(PLAIN, images=len(examples), evaluated=1, image_size=8)
    batches = training_batches(examples, recipe, Preprocessing(8, 8), 0, workers=0, hashes=hashes)
    return [next(batches)[0] for _ in range(len(examples) // recipe.batch_size or 1)]


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_the_first_epoch_takes_the_hash_of_each_image_and_changes_no_batch(tmp_path, kind):
    write_photos(tmp_path / "data", {"a": (200, 40, 40), "b": (40, 200, 40)}, 4)
    files = sorted((tmp_path / "data").rglob("*.png"))
    data = tmp_path / "data" if kind == "folder" else pack(tmp_path / "data", tmp_path / "data.tar", "")
    examples = load_examples(data, ("a", "b"))
    hashes = ImageHashes(examples)
    with_hashes, without = read_epoch(examples, hashes), read_epoch(examples, None)
    np.testing.assert_array_equal(with_hashes, without)
    hashes.complete()
    assert hashes.is_new
    assert hashes.saved() == [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    assert not hashes.is_new
    again = ImageHashes(examples, hashes.saved())
    read_epoch(examples, again)
    assert not again.is_new


def test_an_image_that_was_replaced_is_named(tmp_path):
    write_photos(tmp_path, {"a": (200, 40, 40), "b": (40, 200, 40)}, 4)
    examples = load_examples(tmp_path, ("a", "b"))
    hashes = ImageHashes(examples)
    read_epoch(examples, hashes)
    hashes.complete()
    (tmp_path / "a" / "000.png").write_bytes((tmp_path / "b" / "000.png").read_bytes())
    with pytest.raises(ImageError, match=r"a/000.png: is not the image that the training has read before; restore it"):
        read_epoch(examples, ImageHashes(examples, hashes.saved()))


def test_a_run_has_the_hashes_of_its_images(trained, colours):
    files = sorted((colours / "train").rglob("*.png"))
    assert list(Run.open(trained[0]).images.trained) == [
        hashlib.sha256(file.read_bytes()).hexdigest() for file in files
    ]


def test_an_image_of_a_source_is_decoded_once_for_its_batch_and_its_hash():
    photos, decoded = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8), []

    def read(number):
        decoded.append(number)
        return photos[number]

    examples = Examples(Pixels(read, np.arange(4)), np.arange(4) % 2, ("a", "b"))
    hashes = ImageHashes(examples)
    read_epoch(examples, hashes)
    hashes.complete()
    assert sorted(decoded) == [0, 1, 2, 3]
    assert hashes.saved() == [sha256_of_pixels(photo) for photo in photos]
