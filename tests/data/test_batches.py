"""Batches: what they depend on, their augmentations and targets, and the threads that read them."""

import gc
import subprocess
import sys
import threading
import time
from itertools import islice

import numpy as np
import pytest
from PIL import Image

from resnext.data import batches as batches_module
from resnext.data.batches import (
    AUGMENTATIONS,
    evaluation_batches,
    images_of_batch,
    images_per_step,
    steps_per_epoch,
    training_batches,
)
from resnext.data.examples import Examples
from resnext.errors import ImageError
from resnext.images.preprocessing import Preprocessing
from resnext.recipes.recipe import Recipe
from support.photos import load_examples, make
from support.places import REPOSITORY

pytestmark = pytest.mark.once

EIGHT = Preprocessing(8, 8)


def numbered(count):
    """Examples whose image i is filled with the value i and whose label is i."""
    images = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)
    return Examples(images, np.arange(count, dtype=np.int32), tuple(map(str, range(count))))


def recipe(batch_size, **fields):
    plain = {"name": "test", "epochs": 1, "batch_size": batch_size, "learning_rate": 0.1, "flip": False}
    return Recipe(**plain | fields)


def batches_of(examples, batch_size, seed=0, workers=None, **fields):
    return training_batches(examples, recipe(batch_size, **fields), EIGHT, seed, workers)


def labels_of(batches):
    return [targets.argmax(axis=1) for _, targets in batches]


def noise(count=30):
    images = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return Examples(images, np.arange(count, dtype=np.int32) % 7, tuple("abcdefg"))


# Training batches


def test_every_epoch_is_a_new_permutation_without_loss():
    examples = numbered(23)
    batches = list(islice(batches_of(examples, 4), 3 * 5))
    assert steps_per_epoch(examples, recipe(4)) == 5
    assert {(images.shape, images.dtype, targets.shape, targets.dtype) for images, targets in batches} == {
        ((4, 8, 8, 3), np.dtype(np.uint8), (4, 23), np.dtype(np.float32))
    }
    epochs = [np.concatenate(labels_of(batches[i : i + 5])).tolist() for i in (0, 5, 10)]
    assert [len(set(epoch)) for epoch in epochs] == [20, 20, 20]
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert len({frozenset(epoch) for epoch in epochs}) > 1  # another remainder is left out
    for images, targets in batches:
        np.testing.assert_array_equal(images[:, 3, 4, 1], targets.argmax(axis=1))
        assert (np.sort(targets, axis=1) == [0] * 22 + [1]).all()


def test_a_batch_larger_than_the_data_is_the_data():
    examples = numbered(5)
    assert steps_per_epoch(examples, recipe(64)) == 1
    batches = islice(batches_of(examples, 64), 3)
    assert [sorted(labels.tolist()) for labels in labels_of(batches)] == [[0, 1, 2, 3, 4]] * 3


EVERYTHING = {
    "flip": True, "vertical_flip": True, "rotate": 30.0, "pad": 0.25, "color_jitter": 0.4, "hue": 0.1, "lighting": 0.1,
    "greyscale": 0.5, "blur": 0.5, "rand_augment": 7.0, "trivial_augment": True, "erasing": 0.5, "mixup": 0.2,
    "cutmix": 1.0, "label_smoothing": 0.1, "crop": "resized", "repeats": 2,
}  # fmt: skip


def as_bytes(batches):
    return [(images.tobytes(), targets.tobytes()) for images, targets in batches]


@pytest.mark.parametrize("workers", [0, 1, 2, 4])
def test_batches_depend_on_seed_and_index_alone(workers):
    first = as_bytes(islice(batches_of(noise(), 4, seed=7, **EVERYTHING), 20))
    assert as_bytes(islice(batches_of(noise(), 4, seed=7, workers=workers, **EVERYTHING), 20)) == first
    assert as_bytes(islice(batches_of(noise(), 4, seed=8, workers=workers, **EVERYTHING), 20)) != first
    later = iter(batches_module._batches(noise(), recipe(4, **EVERYTHING), EIGHT, 7, workers))
    later.set_state({"next_index": 11})
    assert as_bytes(islice(later, 9)) == first[11:]


def test_images_from_files_are_the_same_from_every_number_of_workers(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 20, 30, 3), dtype=np.uint8)
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{i}.jpg")
    files = Examples([tmp_path / f"{i}.jpg" for i in range(12)], np.arange(12, dtype=np.int32) % 2, ("a", "b"))
    read = [as_bytes(islice(batches_of(files, 4, workers=workers, **EVERYTHING), 6)) for workers in (0, 1, 2, 4)]
    assert read[0] == read[1] == read[2] == read[3]


FEWEST = {"flip": 2, "vertical_flip": 2, "greyscale": 2, "pad": 7}  # different results of 24


@pytest.mark.parametrize("field", [*AUGMENTATIONS, "crop"])
def test_augmentations_draw_anew_for_each_sample_and_epoch(field):
    image = np.random.default_rng(0).integers(0, 256, (1, 24, 24, 3), dtype=np.uint8)
    examples = Examples(image.repeat(6, axis=0), np.arange(6, dtype=np.int32), tuple("abcdef"))
    batches = islice(batches_of(examples, 3, **{field: EVERYTHING[field]}), 8)
    assert len({image.tobytes() for images, _ in batches for image in images}) >= FEWEST.get(field, 9)


def test_augmentations_come_in_order_after_the_crop(monkeypatch):
    names, seen = ["flip", "vertical_flip", "rotate", "pad_and_crop", "color_jitter", "shift_hue", "lighting"], []
    names += ["random_greyscale", "random_blur", "rand_augment", "trivial_augment", "random_erase"]
    for name in names:
        seeing = lambda image, *_, name=name: seen.append((name, image.shape)) or image  # noqa: E731
        monkeypatch.setattr(f"resnext.data.batches.{name}", seeing)
    next(batches_of(noise(2), 1, workers=0, **EVERYTHING))
    assert seen == [(name, (8, 8, 3)) for name in names]


def test_a_random_box_sees_the_whole_image():
    left_red = np.zeros((1, 10, 40, 3), np.uint8)
    left_red[:, :, :20, 0] = 255
    examples = Examples(left_red.repeat(64, axis=0), np.zeros(64, np.int32), ("a", "b"))
    for crop, reds in (("centre", {50.0}), ("sized", None), ("resized", None)):
        images, _ = next(batches_of(examples, 64, crop=crop, crop_area=(0.05, 0.2)))
        shares = {round(100 * float(image[..., 0].mean() / 255)) for image in images}
        assert shares == reds or (reds is None and {0, 100} <= shares)


def test_repeats_bring_an_image_several_times_into_a_batch():
    batches = labels_of(islice(batches_of(numbered(12), 6, repeats=3), 4))
    labels = np.concatenate([np.sort(labels) for labels in batches]).reshape(-1, 3)
    assert (labels == labels[:, :1]).all()
    assert len(set(labels[:4, 0].tolist())) == 4  # of one epoch
    assert set(labels[:4, 0].tolist()) != set(labels[4:, 0].tolist())


def test_accumulated_parts_are_the_batch():
    whole = list(islice(batches_of(noise(), 6, **EVERYTHING), 5))
    parts = list(islice(batches_of(noise(), 6, accumulate=3, **EVERYTHING), 15))
    assert steps_per_epoch(noise(), recipe(6, accumulate=3)) == 15
    for part, expected in zip((0, 1), zip(*whole, strict=True), strict=True):
        np.testing.assert_array_equal(np.concatenate([batch[part] for batch in parts]), np.concatenate(expected))
    assert images_per_step(noise(32), recipe(60, accumulate=3)) == 30


@pytest.mark.parametrize("fields", [{}, EVERYTHING, {**EVERYTHING, "accumulate": 2}])
@pytest.mark.parametrize("parts", [2, 4])
def test_shares_of_processes_are_the_batch(parts, fields):
    """Mixing and all: each makes its own rows only, and end to end they are what one process makes."""
    whole = list(islice(batches_of(noise(37), 16, **fields), 7))
    settings = noise(37), recipe(16, **fields), EIGHT, 0, 0
    shares = [list(islice(training_batches(*settings, share=(part, parts)), 7)) for part in range(parts)]
    for number, batch in enumerate(whole):
        for place in (0, 1):
            together = np.concatenate([share[number][place] for share in shares])
            np.testing.assert_array_equal(together, batch[place])


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_images_of_a_batch_have_names(accumulate):
    batches = islice(batches_of(numbered(20), 8, accumulate=accumulate), 6)
    for number, labels in enumerate(labels_of(batches)):
        names = images_of_batch(numbered(20), recipe(8, accumulate=accumulate), 0, number)
        assert names == [f"image {label}" for label in labels]


def test_smoothed_targets_give_every_class_a_share():
    _, targets = next(batches_of(noise(), 5, label_smoothing=0.14))
    np.testing.assert_allclose(np.sort(targets, axis=1), [[0.02] * 6 + [0.88]] * 5, rtol=1e-5)


def test_mixed_targets_are_the_shares_of_the_images():
    black_and_white = Examples(np.array([0, 255], np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8),
                               np.array([0, 1], np.int32), ("black", "white"))  # fmt: skip
    for mix in ("mixup", "cutmix"):
        for images, targets in islice(batches_of(black_and_white, 2, **{mix: 1.0}), 10):
            np.testing.assert_allclose(targets[:, 1], images.mean(axis=(1, 2, 3)) / 255, atol=1 / 255)
            np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)


def test_with_mixup_and_cutmix_a_batch_gets_one_or_the_other():
    black_and_white = Examples(np.array([0, 255], np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8),
                               np.array([0, 1], np.int32), ("black", "white"))  # fmt: skip
    grey = [
        bool(((images > 0) & (images < 255)).any())
        for images, _ in islice(batches_of(black_and_white, 2, mixup=8.0, cutmix=8.0), 100)
    ]
    assert 30 < sum(grey) < 70  # four standard deviations


def test_the_binary_loss_counts_every_class_of_a_mixed_image_whole():
    seen = set()
    for images, targets in islice(batches_of(noise(4), 4, mixup=1.0, loss="binary", label_smoothing=0.07), 20):
        assert (images.dtype, targets.dtype) == (np.uint8, np.float32)
        assert {*np.unique(targets)} == {0, 1}
        seen |= {int(count) for count in (targets > 0.5).sum(axis=1)}
    assert seen == {1, 2}
    smoothed = next(batches_of(noise(4), 4, loss="binary", label_smoothing=0.99))[1]
    assert (smoothed == 0).all()  # smoothing comes before the limit of 0.2, as in timm


@pytest.mark.parametrize("batches", [lambda e: batches_of(e, 2), lambda e: iter(evaluation_batches(e, EIGHT, 2))])
def test_image_that_cannot_be_read_reaches_the_consumer_as_it_is(tmp_path, batches):
    make(tmp_path, "a/1.png", "b/1.png")
    examples = load_examples(tmp_path, ("a", "b"))
    (tmp_path / "b/1.png").write_text("text")
    with pytest.raises(ImageError) as caught:
        next(batches(examples))
    assert type(caught.value) is ImageError
    assert str(caught.value) == f"{tmp_path}/b/1.png: not a JPEG, PNG, WEBP, BMP, GIF, TIFF, AVIF, PPM or HEIF image"


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
    batches = batches_of(noise(), 4)
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
        "import numpy as np; from resnext.data.batches import *; from resnext.data.examples import Examples\n"
        "examples = Examples(np.zeros((64, 8, 8, 3), np.uint8), np.zeros(64, np.int32), ('a', 'b'))\n"
        "recipe = Recipe('r', epochs=1, batch_size=4, learning_rate=1.0)\n"
        "batches = training_batches(examples, recipe, Preprocessing(8, 8), 0)\n"
        "next(batches); print('done')"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout, run.stderr) == (0, "done\n", "")


# Imbalance


def test_weights_of_the_images_are_those_of_their_classes():
    labels = np.repeat([0, 1], [15, 5]).astype(np.int32)
    examples = Examples(np.zeros((20, 8, 8, 3), np.uint8), labels, ("a", "b"))
    images, targets, weights = next(batches_of(examples, 20, class_weights=1.0, label_smoothing=0.1))
    assert images.shape[0] == len(weights) == 20
    np.testing.assert_allclose(weights, np.where(targets.argmax(axis=1) == 0, 2 / 3, 2), rtol=1e-6)
    (_, shares, mixed) = next(batches_of(examples, 20, class_weights=1.0, mixup=1.0))
    np.testing.assert_allclose(mixed, shares @ np.array([2 / 3, 2], np.float32), rtol=1e-5)
    parts = list(islice(batches_of(examples, 20, class_weights=1.0, accumulate=2), 2))
    assert [len(part) for part in parts[0]] == [10, 10, 10]
    assert weights.dtype == np.float32
    assert len(next(batches_of(examples, 20))) == 2


def test_balanced_batches_go_on_in_the_middle_and_name_their_images():
    labels = np.repeat([0, 1], [15, 5]).astype(np.int32)
    examples = Examples(numbered(20).images, labels, ("a", "b"))
    whole = list(islice(batches_of(examples, 4, sampling="balanced", flip=True), 10))
    shares = np.mean([targets.mean(axis=0) for _, targets in whole], axis=0)
    np.testing.assert_allclose(shares, [0.5, 0.5])
    resumed = training_batches(examples, recipe(4, sampling="balanced", flip=True), EIGHT, 0, 0, start=7)
    for (images, targets), (again, same) in zip(whole[7:], islice(resumed, 3), strict=True):
        assert (images == again).all()
        assert (targets == same).all()
    for number in (0, 6):
        named = [int(name.split()[1]) for name in images_of_batch(examples, recipe(4, sampling="balanced"), 0, number)]
        assert named == [int(image[0, 0, 0]) for image in whole[number][0]]
