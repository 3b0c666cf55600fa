import gc
import subprocess
import sys
import threading
import time
from itertools import islice

import grain
import numpy as np
import pytest
from conftest import REPOSITORY
from PIL import Image

from resnext import pipeline
from resnext.augment import flip, pad_and_crop
from resnext.pipeline import evaluation_batches, steps_per_epoch, training_batches
from resnext.preprocessing import ImageError, Preprocessing
from resnext.sources import Examples, load_examples

EIGHT = Preprocessing(8, 8)


def make(root, *paths):
    """Tiny images at the given paths below `root`."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(root / path, format="PNG")
    return root


def numbered(count):
    """Examples whose image i is filled with the value i and whose label is i."""
    images = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)
    return Examples(images, np.arange(count, dtype=np.int32), tuple(map(str, range(count))))


# Training batches


def test_every_epoch_is_a_new_permutation_without_loss():
    examples = numbered(23)
    batches = list(islice(training_batches(examples, EIGHT, (), 4, seed=0), 3 * 5))
    assert steps_per_epoch(examples, 4) == 5
    assert {(images.shape, images.dtype, labels.dtype) for images, labels in batches} == {
        ((4, 8, 8, 3), np.dtype(np.uint8), np.dtype(np.int32))
    }
    epochs = [np.concatenate([labels for _, labels in batches[i : i + 5]]).tolist() for i in (0, 5, 10)]
    assert [len(set(epoch)) for epoch in epochs] == [20, 20, 20]
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert len({frozenset(epoch) for epoch in epochs}) > 1  # another remainder is left out
    for images, labels in batches:
        np.testing.assert_array_equal(images[:, 3, 4, 1], labels)


def test_a_batch_larger_than_the_data_is_the_data():
    examples = numbered(5)
    assert steps_per_epoch(examples, 64) == 1
    batches = islice(training_batches(examples, EIGHT, (), 64, 0), 3)
    assert [sorted(labels.tolist()) for _, labels in batches] == [[0, 1, 2, 3, 4]] * 3


def augmented(seed):
    noise = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
    examples = Examples(noise, np.arange(30, dtype=np.int32), tuple(map(str, range(30))))
    augmentations = (lambda image, rng: pad_and_crop(image, 2, (1, 2, 3), rng), flip)
    return training_batches(examples, EIGHT, augmentations, 4, seed)


def as_bytes(batches):
    return [(images.tobytes(), labels.tobytes()) for images, labels in batches]


@pytest.mark.parametrize("threads", [0, 1, 5])
def test_batches_depend_on_seed_and_index_alone(monkeypatch, threads):
    first = as_bytes(islice(augmented(7), 20))
    monkeypatch.setattr(pipeline, "_read_ahead", lambda: grain.ReadOptions(threads, threads))
    assert as_bytes(islice(augmented(7), 20)) == first
    assert as_bytes(islice(augmented(8), 20)) != first
    later = iter(augmented(7))
    later.set_state({"next_index": 11})
    assert as_bytes(islice(later, 9)) == first[11:]


def test_augmentations_draw_anew_for_each_sample_and_epoch():
    examples = Examples(np.zeros((6, 8, 8, 3), np.uint8), np.arange(6, dtype=np.int32), tuple("abcdef"))
    draws = (lambda image, rng: image + rng.integers(0, 256, image.shape, dtype=np.uint8),)
    batches = islice(training_batches(examples, EIGHT, draws, 3, 0), 8)
    assert len({image.tobytes() for images, _ in batches for image in images}) == 24


def test_augmentations_come_in_order_after_preprocessing():
    shapes = []
    augmentations = (lambda image, rng: shapes.append(image.shape) or image + 1, lambda image, rng: image * 2)
    examples = Examples(np.zeros((2, 9, 12, 3), np.uint8), np.zeros(2, np.int32), ("a", "b"))
    images, _ = next(iter(training_batches(examples, EIGHT, augmentations, 2, 0)))
    assert set(shapes) == {(8, 8, 3)}
    assert images.min() == images.max() == 2


@pytest.mark.parametrize("batches", [lambda *a: training_batches(*a, (), 2, 0), lambda *a: evaluation_batches(*a, 2)])
def test_image_that_cannot_be_read_reaches_the_consumer_as_it_is(tmp_path, batches):
    make(tmp_path, "a/1.png", "b/1.png")
    examples = load_examples(tmp_path, ("a", "b"))
    (tmp_path / "b/1.png").write_text("text")
    with pytest.raises(ImageError) as caught:
        next(iter(batches(examples, EIGHT)))
    assert type(caught.value) is ImageError
    assert str(caught.value) == f"{tmp_path}/b/1.png: not a JPEG, PNG, WEBP, BMP or GIF image"


# Evaluation batches


@pytest.mark.parametrize(("count", "valid"), [(10, [4, 4, 2]), (8, [4, 4]), (4, [4])])
def test_evaluation_is_in_order_and_the_last_batch_is_filled_up(count, valid):
    batches = list(evaluation_batches(numbered(count), EIGHT, 4))
    assert [n for _, n in batches] == valid
    assert {(images.shape, images.dtype) for images, _ in batches} == {((4, 8, 8, 3), np.dtype(np.uint8))}
    assert [value for images, n in batches for value in images[:n, 0, 0, 0]] == list(range(count))
    images, n = batches[-1]
    np.testing.assert_array_equal(images[n:], images[n - 1 : n].repeat(4 - n, axis=0))


def test_an_evaluation_batch_larger_than_the_data_is_the_data():
    ((images, valid),) = evaluation_batches(numbered(3), EIGHT, 10**12)
    assert (images.shape, valid) == ((3, 8, 8, 3), 3)


def test_evaluation_can_be_read_twice():
    batches = evaluation_batches(numbered(6), EIGHT, 4)
    assert len(list(batches)) == len(list(batches)) == 2


# Threads


def readers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("grain-prefetch")]


def test_dropping_an_iterator_ends_its_threads():
    before = set(readers())
    batches = iter(augmented(0))
    next(batches)
    assert set(readers()) - before
    del batches
    gc.collect()
    deadline = time.monotonic() + 10
    while set(readers()) - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not set(readers()) - before


def test_an_iterator_in_use_does_not_hold_up_the_exit():
    code = (
        "import numpy as np; from resnext.pipeline import *; from resnext.sources import Examples\n"
        "examples = Examples(np.zeros((64, 8, 8, 3), np.uint8), np.zeros(64, np.int32), ('a', 'b'))\n"
        "batches = iter(training_batches(examples, Preprocessing(8, 8), (), 4, 0))\n"
        "next(batches); print('done')"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout, run.stderr) == (0, "done\n", "")
