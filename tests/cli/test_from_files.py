"""Options that stand in a TOML file, or are those of an earlier run; and --quiet."""

import json

import pytest

from support.command import refusal, resnext

pytestmark = pytest.mark.once
SMALL = ("--variant", "resnext11_4x4d", "--image-size", 16, "--epochs", 2)


def config_of(run):
    return json.loads((run / "config.json").read_text())


def test_a_file_of_options_and_what_is_typed_outweighs_it(colours, tmp_path):
    file = tmp_path / "own.toml"
    file.write_text(
        f"data = {json.dumps(str(colours))}\nvariant = 'resnext11_4x4d'\nepochs = 3\nimage-size = 16\n"
        "[train]\nlearning_rate = 0.01\nflip = true\nmean = [0.5, 0.5, 0.5]\nlog = ['jsonl']\n"
        "[evaluate]\ncrops = 10\n"
    )
    process = resnext("train", "--config", file, "--epochs", 2, "--out", tmp_path / "run")
    assert process.returncode == 0, process.stderr
    recipe = config_of(tmp_path / "run")["recipe"]
    assert (recipe["epochs"], recipe["learning_rate"], recipe["flip"], recipe["mean"]) == (2, 0.01, True, [0.5] * 3)
    assert (tmp_path / "run" / "log.jsonl").exists()
    file.write_text("[evaluate]\ncrops = 10\nformat = 'json'\n")
    process = resnext("evaluate", tmp_path / "run", "--config", file)
    assert json.loads(process.stdout)["views"] == 10


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("epohcs = 3", "train has no option '--epohcs'. Did you mean --epochs? resnext train --help lists them."),
        ("epochs = 'five'", "own.toml: --epochs takes a whole number. Received: 'five'."),
        ("epochs = 0", "`epochs` must be a whole number, at least 1. Received: 0"),
        ("epochs = ", "no TOML file (Invalid value"),
        ("[trian]\nepochs = 3", "[trian] is no command. A table has the options of the command that it is named by"),
        ("epochs = 2026-01-01", "epochs can't be a date. Write a number, a text or a list"),
        ("config = 'x'", "own.toml: config can't stand in a file. Type it"),
        ("flip = 'yes'", 'own.toml: flip must be true or false. Received: "yes"'),
        ("epochs = true", "own.toml: epochs takes a value, not true or false. Received: true"),
        ("variant = ''", "own.toml: variant has an empty value. Write one, or leave it out"),
        ("image-size = 32\nimage_size = 64", "own.toml: image-size and image_size are one option. Keep one"),
        ("mean = [1, 2]", "own.toml: --mean takes 3 values."),
    ],
)
def test_a_file_that_is_wrong_is_refused(tmp_path, text, line):
    (tmp_path / "own.toml").write_text(text)
    process = resnext("train", "digits", "--config", tmp_path / "own.toml")
    assert process.returncode == 2
    assert line in process.stderr.splitlines()[-1]


def test_a_file_that_is_not_there(tmp_path):
    (tmp_path / "own.toml").write_text("")
    said = refusal(resnext("train", "digits", "--config", tmp_path / "ownn.toml"))
    assert said == f"{tmp_path}/ownn.toml does not exist. Did you mean {tmp_path}/own.toml? Pass --config FILE.toml"


def test_like_a_run(colours, tmp_path):
    options = (*SMALL, "--seed", 7, "--hue", 0.1, "--no-flip", "--recipe", "paper-cifar", "--steps", 0.5, 0.1)
    process = resnext("train", colours, *options, "--out", tmp_path / "one")
    assert process.returncode == 0, process.stderr
    process = resnext("train", "--like", tmp_path / "one", "--out", tmp_path / "two")
    assert process.returncode == 0, process.stderr
    one, two, other = tmp_path / "one", tmp_path / "two", tmp_path / "other"
    assert config_of(one) == config_of(two)
    assert (one / "last.safetensors").read_bytes() == (two / "last.safetensors").read_bytes()
    resnext("train", colours, "--like", one, "--epochs", 1, "--seed", 8, "--out", other)
    assert (config_of(other)["recipe"]["epochs"], config_of(other)["seed"]) == (1, 8)
    assert config_of(other)["recipe"]["hue"] == 0.1
    assert "not a run folder" in refusal(resnext("train", colours, "--like", tmp_path))


def test_quiet_has_warnings_and_errors_only(colours, tmp_path):
    process = resnext("train", colours, *SMALL, "--out", tmp_path / "run", "--quiet")
    assert process.returncode == 0
    assert all(line.startswith("resnext: ") for line in process.stderr.splitlines())
    assert "test top-1" in process.stdout
    assert resnext("evaluate", tmp_path / "run", "--quiet").stderr == ""
