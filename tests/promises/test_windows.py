"""The command, a training and the server without POSIX's modules, as on Windows: they are hidden in a process."""

import subprocess
import sys
import urllib.request

import keras
import pytest

from support.photos import COLOURS, write_photos

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(keras.backend.backend() == "torch", reason="PyTorch on Linux itself needs these modules"),
]
HIDE = """
import os, signal, sys
hidden = {"fcntl", "resource", "termios", "tty", "pty", "pwd", "grp", "syslog", "readline"}
for name in hidden:
    sys.modules[name] = None
for name in ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGKILL", "SIGQUIT", "pthread_sigmask", "pthread_kill", "sigwait"):
    if hasattr(signal, name):
        delattr(signal, name)
for name in ("sched_getaffinity", "sysconf", "O_NONBLOCK", "getuid", "geteuid"):
    if hasattr(os, name):
        delattr(os, name)
"""


def hidden(code: str, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-c", HIDE + code, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, **options,
    )  # fmt: skip


COMMAND = "from resnext.cli.main import main\nmain()"


def test_a_training_its_lock_and_its_use(tmp_path):
    photos = write_photos(tmp_path / "photos", COLOURS, 4)
    small = ("--variant", "resnext11_4x4d", "--image-size", 16, "--epochs", 1)
    trained = hidden(COMMAND, "train", photos, *small, "--out", tmp_path / "run")
    out, errors = trained.communicate(timeout=200)
    assert trained.returncode == 0, errors
    assert "test top-1" in out
    assert not list((tmp_path / "run").glob(".lock*"))
    used = hidden(COMMAND, "evaluate", tmp_path / "run", "--format", "json", "--quiet")
    out, errors = used.communicate(timeout=200)
    assert used.returncode == 0, errors
    assert '"metrics"' in out


def test_the_second_training_in_a_folder_leaves(tmp_path):
    code = (
        "import pathlib, sys\nfrom resnext.runs.lock import lock, owner\n"
        "with lock(pathlib.Path(sys.argv[1])):\n    print('locked', flush=True)\n    input()\n"
    )
    first = hidden(code, tmp_path / "run", stdin=subprocess.PIPE)
    assert first.stdout.readline() == "locked\n"
    second = hidden(code, tmp_path / "run", stdin=subprocess.PIPE)
    _, errors = second.communicate("\n", timeout=60)
    assert f"process {first.pid} is training in it" in errors
    first.communicate("\n", timeout=60)
    assert not (tmp_path / "run").exists()


def test_the_server_answers(trained, colours):
    pytest.importorskip("uvicorn")
    code = (
        "import sys\nfrom resnext.serving.options import ServingOptions\nfrom resnext.serving.server import serve\n"
        "serve([sys.argv[1]], ServingOptions(port=0), ready=lambda *words: print(*words, flush=True))"
    )
    server = hidden(code, trained[0])
    try:
        lines = iter(server.stdout.readline, "")
        address = next(word for line in lines for word in line.split() if word.startswith("http://"))
        file = next((colours / "test").glob("*/*.png"))
        request = urllib.request.Request(f"{address.rstrip('/')}/v1/classify", file.read_bytes())
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == 200
    finally:
        server.terminate()
        assert server.wait(timeout=60) in (0, 143, -15)
