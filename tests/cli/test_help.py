"""The help of each command, and completion in bash."""

import re
import subprocess

import pytest

from resnext.cli.help import EXAMPLES, GROUPS
from support.command import resnext

pytestmark = pytest.mark.once


def test_the_help_of_train_has_groups_an_example_and_statuses():
    text = resnext("train", "--help", env={"COLUMNS": "80"}).stdout
    titles = re.findall(r"^(\w[\w ]+):$", text, re.MULTILINE)
    assert titles == [*GROUPS, "In every command"]
    assert "example: resnext train photos" in text
    assert "Exit status: 0 done, 1 what was passed can't be used, 2" in text
    assert max(map(len, text.splitlines())) <= 80
    for ugly in ("None", "default: )", "INT", "STR", "{"):
        assert ugly not in text
    assert re.search(r"--epochs N +passes over the training images; by default 20, or\s+more on small sets\n", text)
    assert re.search(r"--momentum X +momentum of SGD \[0.9\]", text)


@pytest.mark.parametrize("command", EXAMPLES)
def test_every_command_has_an_example(command):
    text = resnext(command, "--help").stdout
    assert text.startswith(f"usage: resnext {command}")
    assert f"example: {EXAMPLES[command]}\n" in text
    assert "None" not in text.replace("None are", "")


def test_bash_completes_commands_options_and_values():
    script = resnext("completion").stdout

    def completed(*words):
        asked = f'COMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}; _resnext; echo "${{COMPREPLY[@]}}"'
        process = subprocess.run(["bash", "-c", f"{script}\n{asked}"], capture_output=True, text=True, timeout=60)
        assert process.returncode == 0, process.stderr
        return process.stdout.split()

    assert {"train", "predict", "doctor"} <= {*completed("resnext", "''")}
    assert completed("resnext", "trai") == ["train"]
    assert completed("resnext", "train", "--v") == ["--variant", "--vertical-flip"]
    assert completed("resnext", "train", "--fit", "''") == ["crop", "squash", "pad"]
    assert completed("resnext", "train", "--fit", "=", "s") == completed("resnext", "train", "--fit", "s") == ["squash"]
    assert completed("resnext", "train", "--fit", "=") == ["crop", "squash", "pad"]
    assert completed("resnext", "train", "photos", "--recipe", "rsb") == ["rsb-a1", "rsb-a2", "rsb-a3"]
    assert "resnext50_32x4d" in completed("resnext", "train", "photos", "--variant", "resnext50_")
    assert "resnext50_32x4d" in completed("resnext", "info", "resnext50_")
    assert completed("resnext", "train", "--log", "jsonl", "w") == ["wandb"]
    assert completed("resnext", "train", "--fit", "crop", "s") == []
    assert completed("resnext", "train", "photos", "''") == []  # files, by bash itself
    assert completed("resnext", "completion", "''") == ["bash", "zsh"]
    assert "None" not in completed("resnext", "evaluate", "m", "--engine", "''")
    assert "complete -o default -F" in script, "files are completed as well"
    assert script in resnext("completion", "zsh").stdout
