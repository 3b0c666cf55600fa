"""The main job through its public doors: train on photos, with every option."""

import csv
import dataclasses
import itertools
import json
import re
import shutil
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from resnext import evaluate, predict, train
from resnext.errors import ArgumentError, RunError
from resnext.inference.evaluate import evaluate_examples
from resnext.inference.model import Model
from resnext.metrics.evaluation import Evaluation
from resnext.runs.run import Run
from resnext.training.saving import Saving
from resnext.variants.names import get_variant
from support.command import refusal, resnext
from support.photos import COLOURS, write_photos
from support.runs import QUICK, TINY


def test_train_learns_and_says_so(trained):
    folder, process = trained
    accuracy = float(re.search(r"test top-1 ([\d.]+) % of 12 images", process.stdout)[1])
    assert accuracy > 60  # of three colours that differ more than their noise
    assert re.search(
        r"best validation top-1 [\d.]+ % \(epoch \d\), on the images that chose it; saved in", process.stdout
    )
    assert f"plot: {folder / 'confusion-matrix.png'}" in process.stdout
    assert len(re.findall(r"epoch \d/6  loss .* images/s", process.stderr)) == 6


MIXED = dataclasses.replace(QUICK, epochs=2, crop="resized", mixup=0.2)


@pytest.fixture(scope="module")
def mixed(colours, tmp_path_factory):
    """A run to compare with, and what `train` returned."""
    folder = tmp_path_factory.mktemp("mixed") / "run"
    return folder, train(colours, TINY, folder, recipe=MIXED, seed=1, workers=0)


def test_the_seed_decides_the_run_and_workers_change_nothing(colours, mixed, tmp_path):
    for name, seed in (("same", 1), ("other", 2)):
        train(colours, TINY, tmp_path / name, recipe=MIXED, seed=seed, workers=3)
    metrics = [(folder / "metrics.csv").read_text() for folder in (mixed[0], tmp_path / "same", tmp_path / "other")]
    assert metrics[0] == metrics[1] != metrics[2]
    said = refusal(resnext("train", colours, "--variant", TINY, "--workers", -1, "--out", tmp_path / "run"))
    assert said == "`workers` must be at least 0. Received: -1"


@pytest.mark.once
def test_remat_trains_the_same_network(colours, mixed, tmp_path):
    train(colours, TINY, tmp_path / "remat", recipe=MIXED, seed=1, remat=True)
    plain, remat = (load_file(folder / "last.safetensors") for folder in (mixed[0], tmp_path / "remat"))
    assert plain.keys() == remat.keys()
    for name, array in plain.items():
        np.testing.assert_allclose(remat[name], array, rtol=1e-2, atol=2e-3, err_msg=name)


@pytest.mark.once  # on every backend in test_evaluation_weights
def test_the_average_is_judged_and_kept_and_training_goes_on_without_it(colours, mixed, tmp_path):
    averaged = train(colours, TINY, tmp_path / "run", recipe=dataclasses.replace(MIXED, ema=0.9), seed=1)
    for folder, trained in (mixed, (tmp_path / "run", averaged)):
        evaluation = evaluate(folder, colours, weights="last")
        assert evaluation.loss == pytest.approx(losses(folder)[-1], abs=1e-4)
        assert trained.test.loss == pytest.approx(evaluation.loss, abs=1e-4)
    rows = [list(csv.DictReader((folder / "metrics.csv").open())) for folder in (mixed[0], tmp_path / "run")]
    for one, other in zip(*rows, strict=True):
        assert float(one["train_loss"]) == pytest.approx(float(other["train_loss"]), rel=1e-4)
        assert one["validation_loss"] != other["validation_loss"]


@pytest.mark.once
def test_an_archive_is_trained_and_judged_on_as_its_folder_is(colours, mixed, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "colours"), "gztar", colours)
    train(archive, TINY, tmp_path / "run", recipe=MIXED, seed=1)
    assert (mixed[0] / "metrics.csv").read_text() == (tmp_path / "run" / "metrics.csv").read_text()
    process = resnext("evaluate", tmp_path / "run", archive, "--weights", "last")
    assert process.stdout == resnext("evaluate", mixed[0], colours, "--weights", "last").stdout


@pytest.mark.once
def test_the_rate_counts_the_images_that_a_step_has(colours, tmp_path, monkeypatch, caplog):
    """A batch larger than the data is the data: 72 images. A clock that counts calls ticks once in the only step."""
    clocks = {name: itertools.count().__next__ for name in ("perf_counter", "monotonic")}
    monkeypatch.setattr("resnext.training.state.time", SimpleNamespace(**clocks))
    large = dataclasses.replace(QUICK, epochs=1, batch_size=1000)
    train(colours, TINY, tmp_path / "run", recipe=large)
    assert "72.0 images/s" in caplog.text


@pytest.mark.once
def test_class_folders_without_a_split_are_judged_on_images_held_out(tmp_path):
    data, run = write_photos(tmp_path / "photos", COLOURS, 12), tmp_path / "run"
    trained = train(data, TINY, run, recipe=dataclasses.replace(QUICK, image_size=32), seed=5)
    held_out = json.loads((run / "held-out.json").read_text())
    assert len(trained.test.labels) == len(held_out) == 6
    assert held_out == sorted(held_out)

    def same(evaluation):
        np.testing.assert_array_equal(evaluation.labels, trained.test.labels)
        np.testing.assert_allclose(evaluation.losses, trained.test.losses, atol=1e-4)

    same(evaluate(run, data, weights="last"))
    # What comes or goes later makes no training image a test image.
    learned = next(path for path in sorted(data.glob("*/*.png")) if path.relative_to(data).as_posix() not in held_out)
    learned.rename(data / "red" / "new.png")
    same(evaluate(run, data, weights="last"))
    moved = data.rename(tmp_path / "moved")
    same(evaluate(run, moved, weights="last"))

    other = write_photos(tmp_path / "other", COLOURS, 2)
    assert len(evaluate(run, other).labels) == 6
    moved.rename(data)
    (data / held_out[4]).unlink()
    process = resnext("evaluate", run, data)
    assert refusal(process) == (
        f"1 of the 6 images that the training held out are gone, the first of them {data / held_out[4]}; "
        "put them back, or pass a folder that the run was not trained on"
    )
    moved = data.rename(tmp_path / "moved")
    assert f"the first of them {moved / held_out[4]}" in refusal(resnext("evaluate", run, moved))
    write_photos(moved / "test", COLOURS, 3)
    for name in COLOURS:
        (moved / name).rename(moved / "test" / f"of-{name}")
    shutil.rmtree(moved / "test" / "of-red")
    assert "classes that training has not" in refusal(resnext("evaluate", run, moved))  # test/ as it is now
    moved.rename(data)
    (run / "held-out.json").write_text('["red/000.png", 1]')
    assert "held-out.json: damaged, or written by another version of resnext (not a list" in refusal(
        resnext("evaluate", run, data)
    )


def test_validation_chooses_the_best_and_test_is_left_for_the_end(tmp_path, monkeypatch):
    data, run = tmp_path / "photos", tmp_path / "run"
    for part, images in (("train", 8), ("val", 2), ("test", 3)):
        write_photos(data / part, COLOURS, images)
    accuracies = iter([0.0, 1.0, 0.0])

    def prescribed(engine, examples, *arguments):
        """On the validation images, as the epochs are to turn out; on the test images, as they are."""
        evaluation = evaluate_examples(engine, examples, *arguments)
        if len(examples) != 6:
            return evaluation
        right = examples.labels[:, None] == np.arange(3)
        certain = np.log(np.where(right, 0.98, 0.01) if next(accuracies) else np.where(right, 0.02, 0.49))
        return Evaluation.of(evaluation.classes, evaluation.labels, [certain])

    monkeypatch.setattr("resnext.training.session.evaluate_examples", prescribed)
    kept = []
    save = Saving.save
    monkeypatch.setattr(Saving, "save", lambda *arguments: kept.append(arguments[-1]) or save(*arguments))
    trained = train(data, TINY, run, recipe=dataclasses.replace(QUICK, epochs=3))
    assert (trained.best_epoch, trained.best_validation_accuracy) == (2, 1.0)
    assert (run / "best.safetensors").read_bytes() == kept[1]["best.safetensors"] == kept[1]["last.safetensors"]
    assert (run / "last.safetensors").read_bytes() == kept[2]["last.safetensors"] != kept[1]["last.safetensors"]
    assert "best.safetensors" not in kept[2]
    assert len(trained.test.labels) == 9
    last = evaluate(run, data, weights="last")
    np.testing.assert_allclose(last.losses, trained.test.losses, atol=1e-4)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "float64"])
def test_dtype_is_the_runs(colours, tmp_path, dtype):
    if keras.backend.backend() == "jax" and dtype == "float64":
        with pytest.raises(
            ArgumentError, match="float64 becomes float32 on JAX unless the environment has JAX_ENABLE_X64=1"
        ):
            train(colours, TINY, tmp_path / "run", recipe=QUICK, dtype=dtype)
        assert not (tmp_path / "run").exists()
        return
    train(colours, TINY, tmp_path / "run", recipe=dataclasses.replace(QUICK, epochs=1), dtype=dtype)
    run = Run.open(tmp_path / "run")
    (classifier,) = Model.open(run.folder).build()
    assert run.config.options.dtype == dtype
    network = next(layer for layer in classifier.layers if isinstance(layer, keras.Model))
    assert network.get_layer("stem_conv").dtype_policy.name == dtype
    assert keras.config.dtype_policy().name == "float32"


def test_divergence_is_one_line(colours, tmp_path):
    process = resnext(
        "train", colours, "--variant", TINY, "--out", tmp_path / "run", "--image-size", 32,
        "--learning-rate", 1e30, "--batch-size", 8,
    )  # fmt: skip
    assert re.fullmatch(
        r"the (validation )?loss is (nan|inf) after step \d+, in epoch \d+: the training diverged, and this step was "
        r"not saved. Use a lower --learning-rate or another --dtype. Images of this step: "
        r"(\S+/train/\w+/\d+.png(, )?){8}",
        refusal(process),
    )


def test_divergence_keeps_the_epochs_before(colours, tmp_path, monkeypatch):
    from resnext.errors import TrainingDiverged
    from resnext.inference.evaluate import evaluate_examples

    losses = iter([1, np.nan])

    def diverge(*arguments, **named):
        evaluation = evaluate_examples(*arguments, **named)
        return dataclasses.replace(evaluation, losses=evaluation.losses * next(losses))

    monkeypatch.setattr("resnext.training.session.evaluate_examples", diverge)
    with pytest.raises(
        TrainingDiverged, match=r"^the validation loss is nan after step 18, in epoch 2: the training div"
    ):
        train(colours, TINY, tmp_path / "run", recipe=QUICK)
    monkeypatch.undo()
    with (tmp_path / "run" / "metrics.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["epoch"] == "1"
    for weights in ("last", "best"):
        kept = evaluate(tmp_path / "run", colours, weights=weights)
        assert kept.loss == pytest.approx(float(row["validation_loss"]), rel=1e-4)


@pytest.mark.parametrize(
    ("part", "words"),
    [("train", "{}: "), ("val", "1 of 6 images can't be read: {}: "), ("test", "1 of 6 images can't be read: {}: ")],
)
def test_damaged_image_is_named_and_leaves_no_run_behind(tmp_path, part, words):
    """Its header is whole. One that is only for judging is found before the training starts."""
    for name in ("train", "val", "test"):
        write_photos(tmp_path / "photos" / name, COLOURS, 2)
    damaged = tmp_path / "photos" / part / "red" / "000.png"
    damaged.write_bytes(damaged.read_bytes()[:-500])
    with pytest.raises(ValueError, match=re.escape(words.format(damaged))):
        train(tmp_path / "photos", TINY, tmp_path / "deep" / "er" / "run", recipe=QUICK)
    assert not (tmp_path / "deep").exists()


@pytest.mark.once
def test_damaged_image_is_one_line(tmp_path):
    damaged = write_photos(tmp_path / "photos" / "train", COLOURS, 2) / "red" / "000.png"
    write_photos(tmp_path / "photos" / "test", COLOURS, 1)
    damaged.write_bytes(damaged.read_bytes()[:-500])
    process = resnext("train", tmp_path / "photos", "--variant", TINY, "--out", tmp_path / "run",
                      "--image-size", 24)  # fmt: skip
    assert refusal(process).startswith(f"{damaged}: ")


@pytest.mark.once
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--variant", "resnext51_32x4d"], "Unknown variant 'resnext51_32x4d': depth 51 is not one of 14, 26, 50"),
        (["--recipe", "magic"], "unknown recipe 'magic'. The recipes are photos"),
        (["--epochs", "0"], "`epochs` must be a whole number, at least 1. Received: 0"),
        (["--batch-size", "-1"], "`batch_size` must be a whole number, at least 1. Received: -1"),
        (["--learning-rate", "0"], "`learning_rate` must be finite and above 0. Received: 0.0"),
        (["--image-size", "-3"], "`image_size` must be a whole number, at least 1, or None. Received: -3"),
        (["--image-size", "0"], "`image_size` must be a whole number, at least 1, or None. Received: 0"),
        (["--seed", "-1"], "`seed` must be from 0 to 4294967295. Received: -1"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(colours, tmp_path, arguments, words):
    defaults = {"--variant": TINY, "--out": str(tmp_path / "run"), arguments[0]: arguments[1]}
    process = resnext("train", colours, *[word for pair in defaults.items() for word in pair])
    assert words in refusal(process)
    assert not (tmp_path / "run").exists()


@pytest.mark.once
def test_unusable_data_is_refused_before_anything_is_written(tmp_path):
    (tmp_path / "empty").mkdir()
    write_photos(tmp_path / "one", {"red": COLOURS["red"]}, 4)
    write_photos(tmp_path / "more" / "train", {name: COLOURS[name] for name in ("red", "green")}, 2)
    write_photos(tmp_path / "more" / "test", COLOURS, 2)
    write_photos(tmp_path / "text", COLOURS, 2)
    (tmp_path / "text" / "red" / "note.jpg").write_text("hello")
    for data, words in {
        "empty": "no images",
        "one": "only one class",
        "more": "blue",
        "text": "note.jpg: not a JPEG",
        "nowhere": "nowhere",
    }.items():
        process = resnext("train", tmp_path / data, "--variant", TINY, "--out", tmp_path / "run")
        assert words in refusal(process)
        assert not (tmp_path / "run").exists()


@pytest.mark.once
def test_wrong_dtype_is_refused(colours, tmp_path):
    with pytest.raises(ValueError, match=r"`dtype` must be one of float32, .* Received: 'int8'"):
        train(colours, TINY, tmp_path / "run", dtype="int8")


def losses(folder):
    with (folder / "metrics.csv").open() as file:
        return [float(row["validation_loss"]) for row in csv.DictReader(file)]


def test_fine_tuning_keeps_frozen_stages_and_moves_the_rest(trained, colours, tmp_path):
    folder, _ = trained
    tuned = tmp_path / "tuned"
    process = resnext(
        "train", colours, "--variant", "resnext14_2x4d", "--weights", folder,
        "--recipe", "finetune", "--image-size", 32, "--epochs", 1, "--batch-size", 8, "--learning-rate", 0.001,
        "--out", tuned,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    before, after = load_file(folder / "best.safetensors"), load_file(tuned / "last.safetensors")
    same = {name for name, value in before.items() if np.array_equal(value, after[name])}
    assert {name for name in before if name.startswith(("stem", "stage2"))} <= same
    moved = {name for name in before if name.endswith("kernel") and name.startswith(("stage3", "stage5", "pred"))}
    assert moved
    assert not moved & same
    assert json.loads((tuned / "config.json").read_text())["weights"] == str(folder)
    assert f"\nweights: {folder}\n" in process.stderr
    assert "\nfrozen: stages 1, 2, with statistics; " in process.stderr
    other = resnext("train", colours, "--variant", "resnext26_2x4d", "--weights", folder / "best.safetensors", "--out",
                    tmp_path / "other")  # fmt: skip
    assert "best.safetensors" in refusal(other)
    assert not (tmp_path / "other").exists()


@pytest.mark.once
def test_weights_of_other_colours_are_refused(colours, tmp_path):
    from resnext.images.preprocessing import Preprocessing
    from resnext.model.classifier import image_network
    from resnext.weights.save import save_weights

    network = image_network(TINY, 3, Preprocessing(24, 24, mean=(0.5, 0.5, 0.5)))
    save_weights(network, tmp_path / "other.safetensors")
    with pytest.raises(
        ValueError, match=r"other.safetensors: its images are normalised with mean \(0.5, 0.5, 0.5\) and"
    ):
        train(colours, TINY, tmp_path / "run", recipe=QUICK, weights=tmp_path / "other.safetensors")
    assert not (tmp_path / "run").exists()


@pytest.mark.once
def test_what_cannot_be_read_is_skipped_when_asked(tmp_path):
    """A number of images, or a share of them; never all of a class."""
    photos = write_photos(tmp_path / "photos" / "train", COLOURS, 10, size=4)
    write_photos(tmp_path / "photos" / "test", COLOURS, 2)
    bad = photos / "red" / "007.png"
    bad.write_bytes(bad.read_bytes()[:60])
    arguments = ["train", photos.parent, "--variant", TINY, "--recipe", "smoke", "--image-size", 8]
    process = resnext(*arguments, "--skip-bad", 1, "--out", tmp_path / "run")
    assert process.returncode == 0, process.stderr
    assert f"skipped: {bad}: " in process.stderr
    (photos / "red" / "008.png").write_bytes(b"")
    other = (*arguments, "--out", tmp_path / "other")
    for limit in (1, 0.05):
        said = refusal(resnext(*other, "--skip-bad", limit))
        assert f"2 of 30 images can't be read, and --skip-bad {limit} leaves out at most 1: {bad}: " in said
    assert "`skip_bad` must be a number of images, or a share below 1" in refusal(resnext(*other, "--skip-bad", -1))
    for path in (photos / "red").iterdir():
        path.write_bytes(b"")
    assert "no image of the class 'red' can be read" in refusal(resnext(*other, "--skip-bad", 0.5))
    assert not (tmp_path / "other").exists()


@pytest.mark.once
def test_whole_images_are_kept_by_the_run_and_whatever_reads_it(tmp_path):
    for place, name in ((0, "left"), (120, "right")):
        (tmp_path / "wide" / name).mkdir(parents=True)
        for i in range(12):
            pixels = np.full((40, 160, 3), 60 + i, np.uint8)
            pixels[:, place : place + 40] = (250, 0, 0)
            Image.fromarray(pixels).save(tmp_path / "wide" / name / f"{i}.png")
    options = ("--variant", TINY, "--image-size", 24, "--epochs", 2, "--out", tmp_path / "run")
    process = resnext("train", tmp_path / "wide", *options, "--fit", "squash")
    assert "long images" not in process.stderr
    run = Run.open(tmp_path / "run")
    assert (run.config.recipe.fit, run.config.preprocessing.fit) == ("squash", "squash")
    said = re.search(r"test top-1 ([\d.]+) %", process.stdout)[1]
    assert f" {said} % (" in resnext("evaluate", run.folder, tmp_path / "wide", "--weights", "last").stdout
    images = sorted((tmp_path / "wide").rglob("0.png"))
    left, right = (dict(each.classes) for each in predict(run.folder, images, weights="last"))
    assert abs(left["left"] - right["left"]) > 1e-3  # a crop of the centre sees the same in both
    assert re.search(r"images +24 pixels, resized to 24, squash\n", resnext("info", run.folder).stdout)
    tuned = resnext("train", tmp_path / "wide", "--weights", run.folder, "--epochs", 1, "--seed", 1, "--out",
                    tmp_path / "tuned", "--fit", "crop")  # fmt: skip
    assert "weights: trained with --fit squash, but this run uses --fit crop\n" in tuned.stderr
    assert f"held out: 4 images that {run.folder} held out, which are all that it has not seen\n" in tuned.stderr
    assert Run.open(tmp_path / "tuned").held_out == run.held_out


@pytest.mark.once
def test_links_are_followed_when_asked_by_the_run_and_whatever_reads_its_data(colours, tmp_path):
    for part in ("train", "test"):
        (tmp_path / "linked" / part).mkdir(parents=True)
        for folder in (colours / part).iterdir():
            (tmp_path / "linked" / part / folder.name).symlink_to(folder)
    arguments = ["train", tmp_path / "linked", "--variant", TINY, "--recipe", "smoke", "--image-size", 8]
    assert "pass --follow-links to read it" in refusal(resnext(*arguments, "--out", tmp_path / "run"))
    assert resnext(*arguments, "--follow-links", "--out", tmp_path / "run").returncode == 0
    (tmp_path / "run" / "report.html").unlink()
    assert resnext("train", "--resume", tmp_path / "run").returncode == 0
    assert resnext("evaluate", tmp_path / "run", tmp_path / "linked").returncode == 0
    assert resnext("check-data", tmp_path / "linked", "--follow-links").returncode == 0


@pytest.mark.once
def test_a_start_that_can_learn_nothing_is_refused(colours, tmp_path):
    process = resnext("train", colours, "--variant", TINY, "--out", tmp_path / "run", "--recipe", "finetune")
    assert refusal(process) == (
        "`freeze` keeps stages as they were loaded, and no weights are loaded: pass `weights`. Received: freeze (1, 2)"
    )
    variant = dataclasses.replace(get_variant("resnext14_2x4d"), shortcut="none")
    with pytest.raises(
        ValueError, match=r"^`zero_gamma` must be False without shortcuts: every block would start, and stay"
    ):
        train(colours, variant, tmp_path / "run", recipe=dataclasses.replace(QUICK, zero_gamma=True))
    assert not (tmp_path / "run").exists()


@pytest.mark.once
def test_a_checkpoint_of_an_earlier_version_lacks_only_newer_options(trained):
    from resnext.training.train import _check_same

    folder, config = trained[0], Run.open(trained[0]).config
    then = config.to_json()
    for name in ("chosen_classes", "keep_every", "form"):
        del then[name]
    for name in ("focal", "sampling", "patience", "blur"):
        del then["recipe"][name]
    _check_same(folder, config, {"config": then})
    then["recipe"]["epochs"] += 1
    with pytest.raises(RunError, match=r"its checkpoint belongs to another training \(epochs: 7 then, 6 now\)"):
        _check_same(folder, config, {"config": then})
