"""The first contact: what `resnext` says alone, and to people who type what other programs call it."""

import re
import shlex
import subprocess
import sys

import pytest

from resnext.cli.overview import GROUPS, SYNONYMS
from support.command import refusal, resnext

pytestmark = pytest.mark.once


def test_alone_it_shows_examples_and_all_commands():
    process = resnext()
    assert process.returncode == 0
    assert len(re.findall(r"^  resnext ", process.stdout, re.MULTILINE)) == 4
    helped = resnext("--help").stdout
    for command in (name for names in GROUPS.values() for name in names):
        assert command in process.stdout
        assert command in helped
    listed = resnext("no-such-command").stderr.split("The commands are ")[1].strip(" .\n").split(", ")
    assert sorted(listed) == sorted(name for names in GROUPS.values() for name in names)


def test_help_and_version_as_other_programs_have_them():
    assert resnext("help", "train").stdout == resnext("train", "--help").stdout
    assert resnext("help").stdout == resnext().stdout
    for words in (["-V"], ["--version"], ["version"]):
        assert re.fullmatch(r"resnext [\d.]+, Keras [\d.]+, (tensorflow|jax|torch) [\d.+\w]+\n", resnext(*words).stdout)


@pytest.mark.parametrize("word", SYNONYMS)
def test_commands_of_other_programs_are_translated(word):
    process = resnext(word, "something")
    assert process.returncode == 2
    assert process.stderr == f"resnext: no command {word!r}: here it is resnext {SYNONYMS[word]}\n"
    assert SYNONYMS[word].split()[0] in {name for names in GROUPS.values() for name in names}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("train d --lr 0.1", "train has no option '--lr'. Did you mean --learning-rate?"),
        ("train d -b 8", "train has no option '-b'. Did you mean --batch-size?"),
        ("train d -o x", "train has no option '-o'. Did you mean --out?"),
        ("train d --model x", "train has no option '--model'. Did you mean --variant?"),
        ("train d --imgsz 64", "train has no option '--imgsz'. Did you mean --image-size?"),
        ("train d --pretrained", "train has no option '--pretrained'. Did you mean --weights auto? resnext"),
        ("train d --gpu 0", "train has no option '--gpu'. Did you mean --device gpu:0?"),
        ("train d --epohcs 3", "train has no option '--epohcs'. Did you mean --epochs?"),
        ("predict m a --qqqq", "predict has no option '--qqqq'. resnext predict --help lists them."),
        ("predict m a --lr 1", "predict has no option '--lr'. --learning-rate is an option of train, preview."),
        ("predict m a --imgsz 9", "predict has no option '--imgsz'. --image-size is an option of"),
        ("evaluate m --imgsz 9", "evaluate has no option '--imgsz'. Did you mean --size? resnext"),
        ("train d --crops 10", "train has no option '--crops'. --crops is an option of evaluate. Did you mean --crop?"),
        ("train d --Epochs 3", "train has no option '--Epochs'. Did you mean --epochs? resnext"),
        ("train d --out -x", "--out needs a value. Received: '-x', which begins with a hyphen."),
        ("train d --variant ''", "--variant has an empty value. Pass one, or leave --variant out."),
        ("train d --variant=", "--variant has an empty value. Pass one, or leave --variant out."),
        ("predict m ''", "predict takes MODEL INPUT...; one word is empty. Leave it out, or fill it."),
        ("doctor ''", "doctor takes options; one word is empty. Leave it out, or fill it."),
        ("''", "'' is no command. resnext --help shows the commands,"),
        ("--verbose", "'--verbose' is no command. resnext --help shows the commands,"),
        ("train d --config a --config=b", "--config stands 2 times. Pass it once."),
        ("train d --log jsonl --log wandb", "--log stands 2 times. Pass all values at once: --log A B."),
        ("train d --flip false", "--flip takes no value. Received: 'false'. Pass --flip or --no-flip."),
        ("list --weights=1", "--weights takes no value. Received: '1'. Pass --weights alone, or leave it out."),
        ("train d --optimizer SGD", "--optimizer must be one of sgd, adamw, lamb, lbfgs. Received: 'SGD'. Did you"),
        ("bench nothing", "bench takes one of conv, data, engines. Received: 'nothing'."),
        ("TRAIN d", "no command 'TRAIN'. Did you mean train?"),
        ("train d --log --epochs 3", "--log needs a value. resnext train --help explains it."),
        ("train d --mean 1 2", "--mean takes 3 values. resnext train --help explains it."),
        ("train d --std 0 0 0", "`std` must be three numbers above 0, at most 1. Received: (0.0, 0.0, 0.0)"),
        ("predict m a.jpg top=3", "top=3: options begin with two hyphens. Pass --top 3"),
        ("predict m source=a.jpg", "source=a.jpg: it stands without source=: resnext predict m a.jpg"),
        ("evaluate m --data d --crops 10", "DATA stands without --data: resnext evaluate m d --crops 10"),
        ("convert m a.safetensors", "convert needs --out PATH: file to write: .safetensors, or .pth for torchvision "
         "and timm. Pass resnext convert m --out a.safetensors"),
        ("export m --format onnx", "--format must be one of table, json, csv. Received: 'onnx'. The suffix of the "
         "file, or --to onnx, determines its format"),
        ("train --resume none --like none", "none: not a run folder"),
        ("train d epochs=5", "epochs=5: options begin with two hyphens. Pass --epochs 5"),
        ("train d more", "more is a word too many for train; options begin with two hyphens. resnext"),
        ("train d --epochs five", "--epochs takes a whole number. Received: 'five'."),
        ("train d --momentum much", "--momentum takes a number. Received: 'much'."),
        ("train d --form x", "--form must be one of a, b, c, sliced. Received: 'x'."),
        ("train d --fit sqash", "--fit must be one of crop, squash, pad. Received: 'sqash'. Did you mean squash?"),
        ("train d --epochs", "--epochs needs a value."),
        ("train", "train needs DATA: folder or archive (train/<class>/* with test/ or val/, or <class>/*), CSV file"),
        ("evaluate", "evaluate needs MODEL: run folder, file of weights, hf:OWNER/NAME, tag of published weights"),
        ("export m", "export needs FILE, the file to write. Pass resnext export MODEL network.onnx"),
        ("export m a.onnx --out b.onnx", "the file to write stands twice, a.onnx and --out b.onnx. Leave one of them"),
        ("train --data photos", "DATA stands without --data: resnext train photos"),
        ("predict --source=a.jpg m", "INPUT... stands without --source: resnext predict m a.jpg"),
        ("evaluate --model m", "MODEL stands without --model: resnext evaluate m"),
        ("train d --num_epochs 5", "train has no option '--num_epochs'. Did you mean --epochs?"),
        ("train d \N{EN DASH}epochs 5", "train has no option '\N{EN DASH}epochs'. Did you mean --epochs?"),
        ("list --pretrained", "list has no option '--pretrained'. Did you mean --weights?"),
        ("--epochs 5 train d", "--epochs: the command comes first: resnext train ... --epochs ..."),
        ("pyproject.toml", "no command 'pyproject.toml'. The command comes first: resnext train pyproject.toml."),
        ("photo.jpg m", "no command 'photo.jpg'. The commands are list,"),
        ("predict a.jpg", "a.jpg: an image, not a model. The model comes first: resnext predict MODEL a.jpg"),
        ("explain a.png b.png", "a.png: an image, not a model. The model comes first: resnext explain MODEL a.png b"),
        ("info a.png", "a.png: an image, not a model. Pass a model, such as "),
        ("train d --variant resnext50", "Unknown variant 'resnext50'"),
        ("train d --epochs 0", "`epochs` must be a whole number, at least 1. Received: 0"),
        ("train d --device cuda", "`device` must be cpu, gpu, or gpu:N"),
        ("serve", "no model. Pass a run"),
        ("compare", "no run was passed"),
    ],
)  # fmt: skip
def test_a_slip_of_the_keys_is_one_line(arguments, line):
    process = resnext(*shlex.split(arguments))
    assert process.returncode == (1 if "none" in arguments else 2)
    (said,) = process.stderr.splitlines()
    said = re.sub(r"runs/[\w-]+", "MODEL", said)  # the newest run, where there is one
    assert said.startswith(f"resnext: {line}")
    assert process.stdout == ""


def test_american_spellings_are_accepted(tmp_path):
    for words in (["train", "--crop", "center"], ["train", "--grayscale=0.5"], ["train", "--channels", "gray"]):
        command, *options = words
        assert f"{tmp_path}/none does not exist" in resnext(command, tmp_path / "none", *options).stderr
    said = resnext("export", "none", "--out", tmp_path / "a.onnx", "--normalization", "outside").stderr
    assert said.startswith("resnext: none: no such model")


def test_an_option_that_takes_the_place_of_an_earlier_one_is_named(tmp_path):
    process = resnext("train", tmp_path / "none", "--epochs", 2, "--epochs=3", "--flip", "--no-flip")
    assert process.stderr.splitlines()[:2] == [
        "resnext: --epochs stands 2 times; the last one counts",
        "resnext: --flip and --no-flip contradict each other; the last one counts",
    ]


def test_what_stands_in_the_place_of_something_else_is_named(trained, tmp_path):
    run = trained[0]
    assert (
        refusal(resnext("evaluate", run.parent)) == f"{run.parent}: a folder of runs. Pass one of them, such as {run}"
    )
    said = refusal(resnext("export", "net.onnx", run))
    assert said == f"{run}: a run, not a file to write. The model comes first: resnext export {run} net.onnx"
    assert refusal(resnext("train", run)).startswith(f"{run}: a run, not data. Pass resnext train --resume {run} to go")
    said = refusal(resnext("predict", run, tmp_path, "--out", tmp_path / "a.csv", "--format", "json"))
    assert said.startswith(f"{tmp_path}/a.csv: a file of this name has the format csv, and --format json was passed.")


def test_standard_streams_may_be_closed_or_full(trained, tmp_path):
    def ended(words, redirected):
        command = f"{shlex.join([sys.executable, '-m', 'resnext', *map(str, words)])} {redirected}"
        return subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=300)

    assert ended(["list"], ">&-").returncode == 0
    closed = ended(["train", "d", "--nosuch"], ">&-")
    assert (closed.returncode, closed.stderr) == (
        2,
        "resnext: train has no option '--nosuch'. resnext train --help lists them.\n",
    )
    assert ended(["train", "d", "--nosuch"], "2>&-").returncode == 2
    full = ended(["list"], ">/dev/full")
    assert full.returncode == 73
    assert full.stderr.startswith("resnext: the output can't be written: No space left on device.")
    ended(["evaluate", trained[0], "--out", tmp_path / "all"], "| head -1")
    assert (tmp_path / "all" / "evaluation.json").exists()  # written before a reader can leave


def test_what_a_command_itself_says_is_let_through(tmp_path):
    process = resnext("train", tmp_path / "none")
    assert process.returncode != 2
    assert process.stderr.startswith(f"resnext: {tmp_path}/none does not exist")
