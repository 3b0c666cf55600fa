"""The command line: help at once, and one line for each mistake."""

import resource
import subprocess
import sys

import pytest

from resnext import __version__
from resnext.cli import main as cli
from support.command import fresh_resnext, resnext
from support.photos import write_photos


@pytest.mark.once
def test_a_reader_that_has_seen_enough_is_no_error():
    command = f"{sys.executable} -m resnext list | head -1; exit ${{PIPESTATUS[0]}}"
    process = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert process.returncode in (0, 141)
    assert "Error" not in process.stderr


@pytest.mark.once
@pytest.mark.parametrize("arguments", [["trian"], ["train"], ["train", "digits", "--variant"]])
def test_misused_command_exits_with_2(arguments):
    process = resnext(*arguments)
    assert process.returncode == 2
    assert "Traceback" not in process.stderr


@pytest.mark.once
def test_help_is_there_at_once():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert fresh_resnext("--help").returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert seconds < 3  # of a processor, whatever else runs: it takes 0.3, and importing a backend 5 and more


@pytest.mark.once
def test_help_and_facts_do_not_wait_for_keras():
    code = "import sys; sys.argv = ['resnext', *{}]; from resnext.cli.main import main\ntry: main()\nfinally: print({})"
    for arguments in (["--help"], ["train", "--help"], ["list"], ["info", "resnext50_32x4d"]):
        heavy = "[m for m in ('keras', 'tensorflow', 'jax', 'torch', 'grain', 'matplotlib') if m in sys.modules]"
        process = subprocess.run(
            [sys.executable, "-c", code.format(arguments, heavy)], capture_output=True, text=True, timeout=60
        )
        assert process.stdout.splitlines()[-1] == "[]"


@pytest.mark.once
def test_a_bug_of_ours_keeps_its_traceback(main, monkeypatch):
    """Whatever is raised in our own lines: only errors that we name are the user's."""
    for bug in (ValueError("too many values to unpack"), RuntimeError("x"), ImportError("y"), KeyError("z")):
        monkeypatch.setattr(cli, "commands", lambda argv, bug=bug: (_ for _ in ()).throw(bug))
        with pytest.raises(type(bug)):
            main()


@pytest.mark.once
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian", "digits"], "no command 'trian'. Did you mean train? The commands are list, info, recipes, train, "),
        (["zzz"], "no command 'zzz'. The commands are list, "),
        (["train", "digits", "--freeze", "1,2"], "--freeze 1,2: separate values by spaces. Pass --freeze 1 2\n"),
        (["train", "digits", "--mean=.5,.5,.5"], "--mean .5,.5,.5: separate values by spaces. Pass --mean .5 .5 .5\n"),
    ],
)
def test_a_slip_of_the_keys_is_explained(arguments, words):
    process = resnext(*arguments)
    assert process.returncode == 2
    assert process.stderr.startswith(f"resnext: {words}")


@pytest.mark.once
def test_the_version_is_told():
    process = resnext("--version")
    assert process.returncode == 0
    assert process.stdout.startswith(f"resnext {__version__}, Keras ")


@pytest.mark.once
def test_a_terminal_of_ascii_shows_every_name(tmp_path):
    write_photos(tmp_path / "photos", {"日本": (200, 40, 40), "größe": (40, 200, 40)}, 3)
    process = fresh_resnext("check-data", tmp_path / "photos", env={"PYTHONIOENCODING": "ascii"})
    assert process.returncode == 0, process.stderr
    assert "\\u65e5\\u672c" in process.stdout
    assert "gr\\xf6\\xdfe" in process.stdout
