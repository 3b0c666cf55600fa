"""Nothing lost: a training that is killed, stopped, or meets faults goes on to the same bytes."""

import contextlib
import dataclasses
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from resnext import train
from resnext.cli.interrupts import GRACE
from resnext.images.watchdog import NAMED_AFTER
from resnext.recipes.names import get_recipe
from resnext.runs.history import EpochRow, History
from resnext.runs.run import LOCK, REPORT, Run
from resnext.training.checkpoints import FOLDER, STATE, checkpoints, read_checkpoint, read_newest
from resnext.training.recorder import Recorder
from resnext.training.session import Session
from resnext.training.signals import SIGNALS, Stopped
from support.command import Command, fresh_resnext, interpreter, refusal, resnext
from support.resumed import ARGUMENTS, SAME, STEP, completed, ours

EVALUATED = "resnext.engines.keras_engine:KerasEngine.arrays"

# A step is two batches, there is an average as well, and the loss is weighed.
AVERAGED = (*ARGUMENTS, "--ema", 0.9, "--accumulate", 2, "--class-weights", 0.5)
BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")


def faulty(place: str, number: int | str, fault: str, *arguments) -> subprocess.CompletedProcess:
    return Command(*arguments, fault=(place, number, fault)).wait()


def assert_same(run: Path, whole: Path) -> None:
    for name in SAME:
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name
    assert {path.name for path in run.iterdir()} == {path.name for path in whole.iterdir()}
    assert not [*(run / FOLDER).glob(".*")]


@pytest.fixture(scope="module")
def averaged(photos, tmp_path_factory):
    """A run with more state, that nothing happened to."""
    return completed(photos, AVERAGED, tmp_path_factory.mktemp("averaged") / "run")


def test_ten_kills_change_nothing(photos, averaged, tmp_path):
    """At random steps and in the midst of saving; each time it goes on with another number of workers."""
    rng = random.Random(BACKEND)
    kills = [(STEP, rng.randint(1, 2)), ("os:fsync", 3), (STEP, rng.randint(2, 5)), ("os:rename", 1),
             ("resnext.training.saving:prune", 1), (STEP, 1), (EVALUATED, 1),
             ("os:replace", rng.randint(2, 3)), ("resnext.training.checkpoints:write_durably", 2),
             (STEP, rng.randint(1, 4))]  # fmt: skip
    for place, count, died in killed_and_gone_on(kills, photos, tmp_path / "run"):
        assert died, (place, count)
    assert_same(tmp_path / "run", averaged)
    best = max(
        (json.loads(line) for line in (averaged / "metrics.jsonl").open()), key=lambda r: r["validation_accuracy"]
    )
    kept = {path.name for path in checkpoints(tmp_path / "run" / FOLDER)}
    assert f"step-{8 * best['epoch']:09}-{best['epoch']:04}" in kept
    assert len(kept) <= 3


@pytest.mark.once
def test_a_training_that_patience_ends_is_the_same_after_a_stop(photos, tmp_path):
    patient = (*ARGUMENTS, "--epochs", 9, "--learning-rate", 1e-9, "--sampling", "balanced", "--best-by", "macro_f1",
               "--patience", 2)  # fmt: skip
    whole, run = completed(photos, patient, tmp_path / "whole"), tmp_path / "run"
    assert faulty(STEP, 6, "SIGTERM", "train", photos, *patient, "--out", run).returncode == 143
    process = resnext("train", "--resume", run)
    assert "\nended by patience: 2 evaluations without a better one\n" in process.stderr
    assert re.search(
        r"^best validation macro F1 [\d.]+ % \(epoch \d\), on the images that chose it;", process.stdout, re.M
    )
    assert_same(run, whole)
    history = Run.open(run).history
    assert history.epochs == history.best.epoch + 2 < 9
    progress = f"finished, {history.epochs} of 9 epochs, by patience"
    assert f"{progress}; best validation macro F1" in resnext("train", "--resume", run).stdout


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20))
def test_two_hundred_kills_change_nothing(seed, photos, averaged, tmp_path):
    """Ten for each seed, at places and moments that it draws."""
    rng = random.Random(seed)
    places = ("os:fsync", "os:rename", "os:replace", "resnext.training.saving:prune",
              "resnext.training.checkpoints:write_durably",
              EVALUATED, "resnext.weights.save:weights_to_bytes")  # fmt: skip
    run, died = tmp_path / "run", 0
    while died < 10:
        shutil.rmtree(run, ignore_errors=True)  # a run that ended before it was killed ten times begins anew
        kills = [(STEP if rng.random() < 0.5 else rng.choice(places), rng.randint(1, 6)) for _ in range(10 - died)]
        died += sum(killed for *_, killed in killed_and_gone_on(kills, photos, run))
        assert_same(run, averaged)


def killed_and_gone_on(kills, photos, run) -> list[tuple[str, int, bool]]:
    """Train, killed at each place in turn, and then to the end. Says of each whether the process came to it."""
    died, arguments = [], ["train", photos, *AVERAGED, "--out", run]
    for number, (place, count) in enumerate(kills):
        process = faulty(place, count, "SIGKILL", *arguments, "--workers", number % 4)
        assert process.returncode in (0, -signal.SIGKILL), (place, count, process.stderr)
        died.append((place, count, process.returncode != 0))
        assert read_all(run) is None
        if (run / "config.json").exists():
            arguments = ["train", "--resume", run]
    process = resnext(*arguments)
    assert process.returncode == 0, process.stderr
    return died


def read_all(run: Path) -> None:
    """Whatever looks like a checkpoint is whole."""
    for path in checkpoints(run / FOLDER):
        read_checkpoint(path)


def test_stops_are_saved_wherever_they_come(photos, whole, tmp_path):
    """In the first step, which compiles; in judging; while it saves: one run, stopped four times."""
    run = tmp_path / "run"
    arguments = ["train", photos, *ARGUMENTS, "--out", run]
    stops = [(STEP, 1, "SIGTERM", 143), (EVALUATED, 2, "SIGINT", 130),
             ("resnext.training.saving:write_checkpoint", 1, "SIGUSR1", 143), (STEP, 2, "SIGHUP", 143)]  # fmt: skip
    for place, count, name, status in stops:
        process = faulty(place, count, name, *arguments)
        assert process.returncode == status, process.stderr
        step = read_newest(run / FOLDER).facts["step"]
        said = f"stopped by {name} after step {step}; resume with: resnext train --resume {run}"
        assert ours(process)[-1] == said
        arguments = ["train", "--resume", run]
    process = resnext(*arguments)
    assert process.returncode == 0, process.stderr
    assert_same(run, whole)


@pytest.mark.once
def test_a_stop_that_nobody_notices_ends_within_ten_seconds(photos, tmp_path):
    assert GRACE < 10
    command = Command("train", photos, *ARGUMENTS, "--out", tmp_path / "run", fault=(STEP, 4, "hang"),
                      constants={"resnext.cli.interrupts:GRACE": 2.0})  # fmt: skip
    while not checkpoints(tmp_path / "run" / FOLDER) and command.is_running():
        time.sleep(0.1)
    time.sleep(1)
    began = time.monotonic()
    command.send_signal(signal.SIGTERM)
    process = command.wait(60)
    assert process.returncode == 143
    assert time.monotonic() - began < 4
    said = f"stopped by SIGTERM in the middle of a step; resume with: resnext train --resume {tmp_path / 'run'}"
    assert ours(process)[-1] == said
    assert not (tmp_path / "run" / LOCK).exists()


@pytest.mark.once
@pytest.mark.parametrize(("step", "signals", "left"), [(1, 1, False), (2, 2, True)])
def test_a_stop_from_python_raises_and_ends_nothing(step, signals, left, photos, tmp_path, monkeypatch):
    """Before anybody has asked, and for a second signal, at once; the interpreter and its handlers are untouched."""
    handlers = [signal.getsignal(number) for number in SIGNALS]
    batch_end, steps = Recorder.on_train_batch_end, iter(range(1, 100))

    def interrupted(self, batch, logs):
        if next(steps) == step:
            for _ in range(signals):
                os.kill(os.getpid(), signal.SIGINT)
        batch_end(self, batch, logs)

    monkeypatch.setattr(Recorder, "on_train_batch_end", interrupted)
    recipe = dataclasses.replace(get_recipe("smoke"), image_size=24, batch_size=8)
    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt) as stopped:
        train(photos, "resnet8", run, recipe=recipe, checkpoint_every=1)
    rest = f" in the middle of a step; resume with: resnext train --resume {run}" if left else "; nothing was saved"
    assert (type(stopped.value), str(stopped.value)) == (Stopped, f"stopped by SIGINT{rest}")
    assert (run / "config.json").exists() == run.exists() == left
    assert [signal.getsignal(number) for number in SIGNALS] == handlers


@pytest.mark.once
def test_a_stop_that_somebody_swallows_comes_after_the_step(photos, tmp_path, monkeypatch):
    """Imports of large packages catch whatever is raised in them."""
    build = Session._build_models

    def swallowing(self, *arguments):
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        build(self, *arguments)

    monkeypatch.setattr(Session, "_build_models", swallowing)
    recipe = dataclasses.replace(get_recipe("smoke"), image_size=24, batch_size=8)
    with pytest.raises(Stopped, match=r"^stopped by SIGINT"):
        train(photos, "resnet8", tmp_path / "run", recipe=recipe)


@pytest.mark.once
def test_a_second_interrupt_ends_at_once(photos, tmp_path):
    """The first one waits for a step that takes an hour, and says so."""
    command = Command("train", photos, *ARGUMENTS, "--out", tmp_path / "run", fault=(STEP, 4, "deaf"))
    while not checkpoints(tmp_path / "run" / FOLDER) and command.is_running():
        time.sleep(0.1)
    time.sleep(1)
    command.send_signal(signal.SIGINT)
    while "resnext: stopping after this step; press Ctrl-C again to stop at once" not in command.errors:
        time.sleep(0.1)
        assert command.is_running()
    command.send_signal(signal.SIGINT)
    process = command.wait(5)
    assert process.returncode == 130
    said = f"stopped by SIGINT in the middle of a step; resume with: resnext train --resume {tmp_path / 'run'}"
    assert ours(process)[-2:] == ["stopping after this step; press Ctrl-C again to stop at once", said]


@pytest.mark.once
def test_a_file_that_hangs_is_named_within_30_seconds(photos, tmp_path):
    """It waits for the file; asked to stop it ends all the same, and no thread or process stays."""
    assert NAMED_AFTER <= 30
    command = Command("train", photos, *ARGUMENTS, "--out", tmp_path / "run", fault=("PIL.Image:open", 40, "hang"),
                      constants={"resnext.images.watchdog:NAMED_AFTER": 2.0,
                                 "resnext.cli.interrupts:GRACE": 1.0})  # fmt: skip
    began = time.monotonic()
    while "still waiting for" not in command.errors:
        assert time.monotonic() - began < 60
        time.sleep(0.2)
    (line,) = [line for line in command.errors.splitlines() if "still waiting for" in line]
    assert re.fullmatch(r"resnext: still waiting for .*/(red|green|blue)/\d{3}\.png after [23] s "
                        r"\(giving up after 300 s\)", line)  # fmt: skip
    command.send_signal(signal.SIGTERM)
    assert command.wait(30).returncode == 143


@pytest.mark.once
def test_a_file_that_never_comes_ends_the_training(photos, tmp_path):
    """The training waits for its batches in compiled code, and the command ends all the same."""
    process = Command("train", photos, *ARGUMENTS, "--out", tmp_path / "run", fault=("PIL.Image:open", 40, "hang"),
                      constants={"resnext.images.watchdog:NAMED_AFTER": 0.5,
                                 "resnext.images.watchdog:GIVEN_UP_AFTER": 1.0,
                                 "resnext.cli.interrupts:GRACE": 1.0}).wait(60)  # fmt: skip
    assert process.returncode == 74, process.stderr
    assert re.fullmatch(r"giving up on .*/(red|green|blue)/\d{3}\.png: no data for 1 s", ours(process)[-1])


@pytest.mark.once
def test_another_folder_and_a_reader_that_has_seen_enough_change_nothing(photos, whole, tmp_path):
    """`resnext train ... 2>&1 | head -1`, without a terminal, elsewhere, with another seed of Python's hashes."""
    other = {"PYTHONHASHSEED": "7", "LANG": "C", "LC_ALL": "C", "TZ": "Asia/Kathmandu"}
    named = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    arguments = ("train", photos, *ARGUMENTS, "--out", "run")
    with interpreter(*arguments, cwd=tmp_path, env={**os.environ, **other}, **named) as process:
        assert process.stdout.readline().startswith("labels: the folders in ")
        process.stdout.close()
    assert process.returncode == 141
    assert_same(tmp_path / "run", whole)


@pytest.mark.once
def test_a_full_disk_costs_nothing_that_was_saved(photos, whole, tmp_path):
    """At the data, at the renaming, at the files of the run: said twice, then it ends; with room it goes on."""
    run = tmp_path / "run"
    arguments = ["train", photos, *ARGUMENTS, "--checkpoint-every", 1, "--out", run]
    for place, call in (("resnext.training.checkpoints:write_durably", 4), ("os:rename", 2), ("os:replace", 1)):
        process = faulty(place, f"{call}+", "full", *arguments)
        assert process.returncode == 74, (place, process.stderr)
        assert process.stderr.count("Training continues; earlier checkpoints") == 2
        resume = f"third failure in a row. Free some space, then resume with: resnext train --resume {run}"
        assert resume in ours(process)[-1]
        assert read_all(run) is None
        arguments = ["train", "--resume", run]
    process = resnext(*arguments)
    assert process.returncode == 0, process.stderr
    assert_same(run, whole)


@pytest.fixture
def damaged(whole, tmp_path):
    """A copy of the run before its report, with which it is finished."""
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    (run / REPORT).unlink()
    return run


def empty(path: Path, before: Path) -> None:
    (path / STATE).write_bytes(b"")


def halve(path: Path, before: Path) -> None:
    (path / STATE).write_bytes((path / STATE).read_bytes()[: (path / STATE).stat().st_size // 2])


def swap(path: Path, before: Path) -> None:
    shutil.copy(before / "facts.json", path / "facts.json")


def lose(path: Path, before: Path) -> None:
    (path / STATE).unlink()


def replace_by_pipe(path: Path, before: Path) -> None:
    (path / STATE).unlink()
    os.mkfifo(path / STATE)


@pytest.mark.once
@pytest.mark.parametrize("damages", [(swap, halve), (lose, empty), (replace_by_pipe, halve)])
def test_damaged_checkpoints_are_put_aside(damages, damaged, whole):
    newest, second, third = checkpoints(damaged / FOLDER)
    for damage, path, before in zip(damages, (newest, second), (second, third), strict=True):
        damage(path, before)
    process = resnext("train", "--resume", damaged)
    assert process.returncode == 0, process.stderr
    lines = [line for line in ours(process) if "damaged" in line]
    for path, line in zip((newest, second), lines, strict=True):
        assert line.startswith(f"{path}: is damaged (")
        assert line.endswith(f"): renamed to {path.name}.corrupt; falling back to the previous checkpoint")
        shutil.rmtree(damaged / FOLDER / f"{path.name}.corrupt")
    assert_same(damaged, whole)


@pytest.mark.once
def test_where_every_checkpoint_is_damaged_nothing_is_deleted(damaged):
    paths = checkpoints(damaged / FOLDER)
    for path in paths:
        (path / STATE).write_bytes(b"")
    for _ in range(2):
        process = resnext("train", "--resume", damaged)
        assert process.returncode == 65
        assert ours(process)[-1] == (
            f"{damaged / FOLDER}: no checkpoint is intact ({len(paths)} damaged, kept as *.corrupt). Start a new run "
            "with another --out."
        )
    assert len([*(damaged / FOLDER).glob("*.corrupt")]) == len(paths)


@pytest.mark.once
@pytest.mark.parametrize(
    ("options", "words"),
    [(("--learning-rate", 0.3), "learning_rate: 0.01, not 0.3"),
     (("--variant", "resnet20"), "variant: 'resnet8', not 'resnet20'"),
     (("--seed", 1, "--epochs", 4), "epochs: 3, not 4; seed: 0, not 1")],
)  # fmt: skip
def test_another_recipe_or_network_is_refused(options, words, whole):
    process = resnext("train", "--resume", whole, *options)
    assert process.returncode == 1
    assert ours(process) == [
        f"{whole}: this run was started with {words}. Leave these options out; or start a new run from its weights: "
        f"resnext train DATA --weights {whole}"
    ]  # fmt: skip


@pytest.mark.once
def test_the_whole_command_may_be_sent_again(photos, whole, tmp_path):
    """As a job script does: with every option of the run, those of no recipe included."""
    run = tmp_path / "run"
    options = (
        "--remat",
        "--skip-bad",
        1,
        "--log",
        "tensorboard",
        "--checkpoint-every",
        2,
        "--seed",
        3,
        "--dtype",
        "float32",
    )
    arguments = ("train", photos, "--variant", "resnet8", "--image-size", 24, "--epochs", 1, *options)
    assert resnext(*arguments, "--out", run).returncode == 0
    again = resnext(*arguments, "--out", run, "--resume", run, "--workers", 0)
    assert "finished, 1 epoch" in again.stdout
    (run / REPORT).unlink()
    again = resnext(*arguments, "--out", run, "--resume", run, "--workers", 0)
    assert again.returncode == 0, again.stderr
    assert "test top-1" in again.stdout
    other = resnext(*arguments[:-6], "--checkpoint-every", 3, "--out", run, "--resume", run)
    assert ours(other) == [
        f"{run}: this run was started with checkpoint_every: 2, not 3. Leave these options out; or start a new run "
        f"from its weights: resnext train DATA --weights {run}"
    ]
    elsewhere = resnext(*arguments, "--out", tmp_path / "other", "--resume", run)
    assert ours(elsewhere) == [f"{run}: a run is resumed in its own folder. Leave out --out {tmp_path / 'other'}."]


@pytest.mark.once
def test_an_edited_configuration_is_refused(damaged):
    config = json.loads((damaged / "config.json").read_text())
    config["recipe"]["momentum"], config["classes"] = 0.5, ["blue", "green", "yellow"]
    (damaged / "config.json").write_text(json.dumps(config))
    assert "config.json: damaged, or written by another version" in refusal(resnext("train", "--resume", damaged))
    del config["sha256"]  # as in earlier versions
    (damaged / "config.json").write_text(json.dumps(config))
    process = resnext("train", "--resume", damaged)
    assert process.returncode == 1
    assert ours(process) == [
        f"{damaged}: its checkpoint belongs to another training (classes: ['blue', 'green', 'red'] then, ['blue', "
        "'green', 'yellow'] now; momentum: 0.9 then, 0.5 now). Restore its config.json."
    ]


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "content"), [("held-out.json", '["red/000.png"]'), ("images.json", '{"images": ["0"]}')]
)
def test_an_edited_list_of_images_is_refused(damaged, name, content):
    (damaged / name).write_text(content)
    assert f"{name}: damaged, or written by another version" in refusal(resnext("train", "--resume", damaged))


@pytest.mark.once
def test_other_images_are_refused_and_moved_ones_are_not(photos, damaged, whole, tmp_path):
    moved = Path(shutil.copytree(photos, tmp_path / "moved"))
    assert resnext("train", "--resume", damaged, moved).returncode == 0
    assert_same(damaged, whole)
    (damaged / REPORT).unlink()
    train = moved / "train"
    for old, new in (("red", "other"), ("green", "red"), ("other", "green")):  # equal names, all labels wrong
        (train / old).rename(train / new)
    message = "its images have the names of those that this run was trained on, but other contents. Pass the original"
    assert message in ours(resnext("train", "--resume", damaged, moved))[-1]
    (moved / "train" / "red" / "000.png").unlink()
    process = resnext("train", "--resume", damaged, moved)
    assert process.returncode == 1
    assert ours(process)[-1].endswith("not the images and classes this run was trained on. Pass the original data set "
                                      "as DATA, or start a new run.")  # fmt: skip


@pytest.mark.once
def test_another_backend_goes_on_with_one_warning(photos, whole, tmp_path):
    pytest.importorskip("torch")
    run = tmp_path / "run"
    process = faulty(EVALUATED, 5, "SIGTERM", "train", photos, *ARGUMENTS, "--out", run)
    assert process.returncode == 143, process.stderr
    process = fresh_resnext("train", "--resume", run, env={"KERAS_BACKEND": "torch"})
    assert process.returncode == 0, process.stderr
    (line,) = [line for line in ours(process) if "bit for bit" in line]
    assert "backend tensorflow" in line
    assert "resumes with backend torch" in line
    ours_now, theirs = load_file(run / "last.safetensors"), load_file(whole / "last.safetensors")
    for name, values in theirs.items():
        np.testing.assert_allclose(ours_now[name], values, rtol=0, atol=5e-6 * max(1, np.abs(values).max()))


def test_too_little_memory_is_one_line(photos, tmp_path):
    run = tmp_path / "run"
    process = faulty(STEP, 4, "memory", "train", photos, *ARGUMENTS, "--out", run)
    assert process.returncode == 71, process.stderr
    assert ours(process)[-1:] == [
        "not enough memory for steps of 8 images of 24 pixels. --accumulate 2 fits: a trial of the same steps in parts "
        "had enough. Or use a lower --batch-size or --image-size, or --remat."
    ]
    assert read_newest(run / FOLDER).facts["step"] == 3


@pytest.mark.once
def test_epochs_that_are_not_evaluated_are_resumed_as_well(photos, whole, tmp_path):
    seldom = ["train", photos, *ARGUMENTS, "--evaluate-every", 2]
    unbroken = resnext(*seldom, "--out", tmp_path / "unbroken")
    assert [line.split()[1] for line in unbroken.stderr.splitlines() if line.startswith("epoch")] == ["2/3", "3/3"]
    rows = (tmp_path / "unbroken" / "metrics.csv").read_text().splitlines()
    every = (whole / "metrics.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["epoch", "2", "3"]
    assert rows[1].split(",")[4:] == every[2].split(",")[4:]  # validation; the losses are those of two epochs
    stopped = faulty(STEP, 6, "SIGTERM", *seldom, "--out", tmp_path / "run")
    assert stopped.returncode == 143, stopped.stderr
    gone_on = resnext("train", "--resume", tmp_path / "run")
    assert "resuming after step 6 (0 of 3 epochs evaluated)" in gone_on.stderr
    assert_same(tmp_path / "run", tmp_path / "unbroken")


@pytest.mark.once
def test_a_finished_run_says_so(whole, photos):
    before = {path: path.read_bytes() for path in whole.iterdir() if path.is_file()}
    process = resnext("train", "--resume", whole)
    assert (process.returncode, process.stderr) == (0, "")
    best = History(EpochRow.from_json(json.loads(line)) for line in (whole / "metrics.jsonl").open()).best
    assert process.stdout == (
        f"{whole}: finished, 3 epochs; best validation top-1 {100 * best.validation_accuracy:.2f} % "
        f"(epoch {best.epoch}). To evaluate it: resnext evaluate {whole}. To train it longer, or on more images: "
        f"resnext train DATA --weights {whole}\n"
    )
    assert {path: path.read_bytes() for path in before} == before
    assert "this run was started with" in ours(resnext("train", "--resume", whole, "--epochs", 4))[-1]


@pytest.mark.once
def test_a_run_tells_its_state(photos, whole, tmp_path):
    """To `info`, and to a training that would start in its folder; moved data is asked for."""
    run = tmp_path / "a run"
    moved = Path(shutil.copytree(photos, tmp_path / "photos"))
    process = faulty(STEP, 5, "SIGTERM", "train", moved, *ARGUMENTS, "--out", run)
    assert process.returncode == 143, process.stderr
    shown = resnext("info", run).stdout
    assert f"to resume      resnext train --resume '{run}'\n" in shown
    assert "state          1 of 3 epochs\n" in shown
    assert "classes        3: blue, green, red\n" in shown
    assert "state          finished, 3 epochs\n" in resnext("info", whole).stdout
    (line,) = ours(resnext("train", photos, *ARGUMENTS, "--out", run))
    assert line == (
        f"{run}: holds a run (1 of 3 epochs); resume it with: resnext train --resume '{run}'; or choose another --out "
        "for a new one."
    )
    moved.rename(tmp_path / "elsewhere")
    (line,) = ours(resnext("train", "--resume", run))
    assert line == (
        f"{moved} does not exist. If the images have moved, pass their new folder: resnext train --resume '{run}' "
        "NEW-FOLDER"
    )


@pytest.mark.once
def test_the_time_of_an_epoch_is_not_counted_into_the_next(whole):
    facts = read_newest(whole / FOLDER).facts
    assert facts["spent"] < facts["rows"][-1]["seconds"] / 2


@pytest.mark.once
def test_a_fine_tuning_is_resumed_without_the_weights_it_started_from(whole, photos, tmp_path, monkeypatch):
    start = tmp_path / "start.safetensors"
    shutil.copy(whole / "best.safetensors", start)
    monkeypatch.chdir(tmp_path)
    arguments = ("train", photos, *ARGUMENTS, "--recipe", "finetune", "--weights", "start.safetensors", "--epochs", 1)
    runs = [tmp_path / name for name in ("straight", "stopped")]
    assert resnext(*arguments, "--out", runs[0]).returncode == 0
    assert faulty(STEP, 2, "SIGTERM", *arguments, "--out", runs[1]).returncode == 143
    start.unlink()
    again = resnext(*arguments, "--resume", runs[0])  # the whole command: of a finished run, which says so
    assert (again.returncode, again.stderr) == (0, "")
    monkeypatch.chdir("/")
    process = resnext("train", "--resume", runs[1])
    assert process.returncode == 0, process.stderr
    assert_same(runs[1], runs[0])


@pytest.mark.once
def test_resume_wants_a_run(tmp_path):
    process = resnext("train", "--resume", tmp_path)
    assert ours(process) == [f"{tmp_path}: not a run folder (no config.json). Pass the --out of a `resnext train`."]
