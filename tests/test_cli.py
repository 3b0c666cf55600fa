"""The command line: help without Keras, tables, and one line for each mistake."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from commands import Command, interpreter
from conftest import REPOSITORY, fresh_resnext, refusal, resnext, write_photos

from resnext import __version__, errors
from resnext.backend import installed_backend
from resnext.cli import main as cli
from resnext.variants.names import list_variants


@pytest.mark.once
def test_list_shows_every_published_network():
    process = resnext("list")
    assert process.returncode == 0
    assert [line.split()[0] for line in process.stdout.splitlines()[1:]] == list_variants()
    assert "25.0 M" in process.stdout
    assert "22.2 % (ImageNet-1K, 224 pixels)" in process.stdout


@pytest.mark.once
def test_list_takes_a_pattern():
    lines = resnext("list", "resnext152*").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list_variants("resnext152*")
    assert refusal(resnext("list", "vgg*")) == "no published network matches 'vgg*': `resnext list` shows all of them"


@pytest.mark.once
def test_info_is_table_1_of_the_paper():
    out = resnext("info", "resnext50_32x4d").stdout
    for words in ("112x112", "7x7, 64, stride 2", "3x3 max-pool, stride 2; [1x1, 128; 3x3, 128, C=32; 1x1, 256] x 3",
                  "[1x1, 1024; 3x3, 1024, C=32; 1x1, 2048] x 3", "parameters     25,028,904  (25,097,128",
                  "multiply-adds  4,230,479,872", "activations    14,602,216",
                  "published error on ImageNet-1K, 224 pixels: top-1 22.2 %  (Xie et al. 2017, Table 3)"):  # fmt: skip
        assert words in out
    head = next(line for line in out.splitlines() if "1000-d fc, softmax" in line)
    assert head.split()[-2:] == ["2,049,000", "2,048,000"]


@pytest.mark.once
def test_info_of_a_network_that_nobody_published():
    out = resnext("info", "resnext38_4x16d").stdout
    assert "depth 38, cardinality 4, bottleneck width 16" in out
    assert "published" not in out


@pytest.mark.once
def test_wrong_variant_is_one_line():
    assert "Nearest: resnext50_32x4d" in refusal(resnext("info", "resnext50_32x4"))


@pytest.mark.once
def test_a_reader_that_has_seen_enough_is_no_error():
    command = f"{sys.executable} -m resnext list | head -1; exit ${{PIPESTATUS[0]}}"
    process = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert process.returncode in (0, 141)
    assert "Error" not in process.stderr


@pytest.mark.once
@pytest.mark.parametrize("arguments", [[], ["trian"], ["train"], ["train", "digits", "--variant"]])
def test_misused_command_exits_with_2(arguments):
    process = resnext(*arguments)
    assert process.returncode == 2
    assert "Traceback" not in process.stderr


@pytest.mark.once
def test_help_is_there_at_once():
    seconds = []
    for _ in range(3):
        before = time.perf_counter()
        assert fresh_resnext("--help").returncode == 0
        seconds.append(time.perf_counter() - before)
    assert sorted(seconds)[1] < 3  # 0.3 on a quiet machine; importing a backend takes 5 and more


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
@pytest.mark.parametrize("variable", ["HOME", "KERAS_HOME"])
@pytest.mark.parametrize(
    ("content", "chosen"),
    [('{"backend": "jax"}', "jax"), ('{"backend": "torch"}', "tensorflow"), ('{"backend": "json"}', "tensorflow"),
     ('{"backend": []}', "tensorflow"), ("[]", "tensorflow"), ("{", "tensorflow"), ("\xff", "tensorflow")],
)  # fmt: skip
@pytest.mark.once
def test_the_configured_backend_is_taken_where_it_is_known_and_installed(
    tmp_path, monkeypatch, variable, content, chosen
):
    folder = tmp_path / ".keras" if variable == "HOME" else tmp_path
    folder.mkdir(exist_ok=True)
    (folder / "keras.json").write_text(content, encoding="latin-1")
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name in ("tensorflow", "jax", "json"))
    assert installed_backend() == chosen


@pytest.mark.once
def test_missing_backend_is_one_line(tmp_path):
    """An environment in which the chosen backend can't be imported."""
    (tmp_path / "sitecustomize.py").write_text(
        "from importlib.machinery import PathFinder\n"
        "find = PathFinder.find_spec\n"
        "missing = ('tensorflow', 'jax', 'torch')\n"
        "PathFinder.find_spec = lambda name, *rest: None if name in missing else find(name, *rest)\n"
    )
    process = fresh_resnext("train", "digits", "--variant", "resnext11_2x4d", "--out", tmp_path / "run",
                            env={"PYTHONPATH": str(tmp_path), "KERAS_BACKEND": "jax"})  # fmt: skip
    assert "backend jax is not installed: pip install 'resnext[cpu]'" in refusal(process)


@pytest.mark.once
def test_unknown_backend_is_one_line(tmp_path):
    process = fresh_resnext("train", "digits", "--variant", "resnext11_2x4d", "--out", tmp_path / "run",
                            env={"KERAS_BACKEND": "nope"})  # fmt: skip
    assert refusal(process) == "KERAS_BACKEND is 'nope'; allowed: tensorflow, jax, torch"


@pytest.mark.once
def test_a_bug_of_ours_keeps_its_traceback(monkeypatch):
    """Whatever is raised in our own lines: only errors that we name are the user's."""
    for bug in (ValueError("too many values to unpack"), RuntimeError("x"), ImportError("y"), KeyError("z")):
        monkeypatch.setattr(cli, "commands", lambda argv, bug=bug: (_ for _ in ()).throw(bug))
        with pytest.raises(type(bug)):
            cli.main()


@pytest.mark.once
def test_every_error_has_the_parent():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and kind is not errors.ResNeXtError]
    assert len(kinds) > 10
    for kind in kinds:
        assert issubclass(kind, errors.ResNeXtError)
        assert kind.__doc__
        assert issubclass(kind, ValueError | RuntimeError | ImportError)
    for path in (REPOSITORY / "resnext").rglob("*.py"):  # there are no others; Stopped is no error
        defined = re.findall(r"(?m)^class \w+\(.*(?:Error|Exception)\):", path.read_text())
        assert not defined or path.name == "errors.py", path


@pytest.mark.parametrize("fault", ["hang", "deaf"])
def test_an_interrupt_before_the_first_step_is_one_line_and_leaves_nothing(fault, tmp_path):
    step = ("resnext.training.recorder:Recorder.on_train_batch_end", 1, fault)
    arguments = ("--variant", "resnet8", "--image-size", 16, "--out", tmp_path / "new" / "run")
    command = Command("train", "digits", *arguments, fault=step)
    while not (tmp_path / "new" / "run" / "config.json").exists() and command.is_running():
        time.sleep(0.1)
    time.sleep(1)
    command.send_signal(signal.SIGINT)
    process = command.wait(5)
    assert process.returncode == 130
    assert process.stderr.splitlines()[-1] == "resnext: stopped by SIGINT; nothing was saved"
    assert process.stderr.count("resnext: ") == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.once
def test_an_interrupt_that_a_callback_swallows_is_one_line_too():
    code = """
import os, signal, time
from resnext.cli.interrupts import Interrupts

class Swallowing:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

Interrupts()
Swallowing()
time.sleep(10)
"""
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (process.returncode, process.stderr) == (130, "resnext: interrupted\n")


@pytest.mark.once
@pytest.mark.parametrize(("backend", "moment"), [("", 0.0), ("", 0.2), ("", 1.5), ("jax", 1.5)])
def test_an_interrupt_while_it_starts_is_one_line(backend, moment, tmp_path):
    """After a moment, counted from when Python has begun with the package."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import resnext.__main__"], check=True)
    moment += 1.5 * (time.monotonic() - began)
    arguments = ["train", "digits", "--variant", "resnext50_32x4d", "--out", tmp_path / "new" / "run"]
    environment = dict(os.environ)
    if backend:
        pytest.importorskip(backend)
        environment["KERAS_BACKEND"] = backend
        del environment["GLIBC_TUNABLES"]  # so that it starts itself again
    with interpreter(*arguments, stderr=subprocess.PIPE, text=True, env=environment) as process:
        time.sleep(moment)
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert len(errors.splitlines()) == 1, errors
    assert errors.startswith(("resnext: interrupted", "resnext: stopped by SIGINT; nothing was saved"))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("backend", "asked", "command", "again"),
    [("jax", None, "train", True), ("jax", None, "list", False), ("jax", "", "train", False),
     ("torch", None, "train", False)],
)  # fmt: skip
@pytest.mark.once
def test_only_work_on_jax_starts_again_for_huge_pages(backend, asked, command, again, monkeypatch):
    started = []

    def execv(*command):
        started.append(command)
        sys.exit()

    monkeypatch.setattr(os, "execv", execv)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys, "argv", ["resnext", command, "--help"])
    monkeypatch.setenv("KERAS_BACKEND", backend)
    monkeypatch.setenv("GLIBC_TUNABLES", asked or "")
    if asked is None:
        monkeypatch.delenv("GLIBC_TUNABLES")
    with pytest.raises(SystemExit):
        cli.main()
    assert started == ([(sys.executable, sys.orig_argv)] if again else [])
    if again:
        assert os.environ["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=1"


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, "--xla_gpu_deterministic_ops=true"), ("--xla_a=1", "--xla_a=1 --xla_gpu_deterministic_ops=true"),
     ("--xla_gpu_deterministic_ops=false", "--xla_gpu_deterministic_ops=false")],
)  # fmt: skip
@pytest.mark.once
def test_jax_adds_in_one_order_on_a_gpu_unless_the_user_says_otherwise(given, expected, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["resnext", "list", "--help"])
    monkeypatch.setenv("XLA_FLAGS", given or "")
    if given is None:
        monkeypatch.delenv("XLA_FLAGS")
    with pytest.raises(SystemExit):
        cli.main()
    assert os.environ["XLA_FLAGS"] == expected


@pytest.mark.once
@pytest.mark.parametrize("width", [50, 80])
def test_a_narrow_terminal_cuts_nothing(width):
    """A tag is there to be copied."""
    shown = on_a_terminal("list", "--weights", "resnext50*", width=width)
    (line,) = [line for line in shown.splitlines() if "resnext50_32x4d.fb_ssl_yfcc100m_ft_in1k" in line]
    assert line.split()[-1] == "cc-by-nc-4.0"
    assert "…" not in shown


def on_a_terminal(*arguments, width: int) -> str:
    """What a command prints to a terminal of a width."""
    reads, terminal = os.openpty()
    environment = {**os.environ, "COLUMNS": str(width)}
    with interpreter(*arguments, stdout=terminal, stderr=terminal, env=environment):
        os.close(terminal)
        pieces = []
        with contextlib.suppress(OSError):  # at the end
            while piece := os.read(reads, 65536):
                pieces.append(piece)
    os.close(reads)
    return b"".join(pieces).decode()


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
    assert (process.returncode, process.stdout) == (0, f"resnext {__version__}\n")


@pytest.mark.once
def test_a_terminal_of_ascii_shows_every_name(tmp_path):
    write_photos(tmp_path / "photos", {"日本": (200, 40, 40), "größe": (40, 200, 40)}, 3)
    process = fresh_resnext("check-data", tmp_path / "photos", env={"PYTHONIOENCODING": "ascii"})
    assert process.returncode == 0, process.stderr
    assert "\\u65e5\\u672c" in process.stdout
    assert "gr\\xf6\\xdfe" in process.stdout
