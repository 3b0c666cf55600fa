"""The backend of Keras: which is chosen, what is said where it is missing, and its settings."""

import os
import resource
import sys

import pytest

from resnext.backend import installed_backend
from support.command import fresh_resnext, refusal


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


def limit_memory():
    resource.setrlimit(resource.RLIMIT_AS, (600_000_000, 600_000_000))


@pytest.mark.once
def test_too_little_memory_for_the_libraries_is_one_line(trained, tmp_path):
    process = fresh_resnext("predict", trained[0], tmp_path, preexec_fn=limit_memory)
    line = "resnext: not enough memory to load tensorflow. Raise the limit (ulimit -v).\n"
    assert (process.returncode, process.stderr) == (71, line)


@pytest.mark.once
def test_unknown_backend_is_one_line(tmp_path):
    process = fresh_resnext("train", "digits", "--variant", "resnext11_2x4d", "--out", tmp_path / "run",
                            env={"KERAS_BACKEND": "nope"})  # fmt: skip
    assert refusal(process) == "KERAS_BACKEND is 'nope'; allowed: tensorflow, jax, torch"


@pytest.mark.parametrize(
    ("backend", "asked", "command", "again"),
    [("jax", None, "train", True), ("jax", None, "list", False), ("jax", "", "train", False),
     ("torch", None, "train", False)],
)  # fmt: skip
@pytest.mark.once
def test_only_work_on_jax_starts_again_for_huge_pages(backend, asked, command, again, main, monkeypatch):
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
        main()
    assert started == ([(sys.executable, sys.orig_argv)] if again else [])
    if again:
        assert os.environ["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=1"


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, "--xla_gpu_deterministic_ops=true"), ("--xla_a=1", "--xla_a=1 --xla_gpu_deterministic_ops=true"),
     ("--xla_gpu_deterministic_ops=false", "--xla_gpu_deterministic_ops=false")],
)  # fmt: skip
@pytest.mark.once
def test_jax_adds_in_one_order_on_a_gpu_unless_the_user_says_otherwise(given, expected, main, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["resnext", "list", "--help"])
    monkeypatch.setenv("XLA_FLAGS", given or "")
    if given is None:
        monkeypatch.delenv("XLA_FLAGS")
    with pytest.raises(SystemExit):
        main()
    assert os.environ["XLA_FLAGS"] == expected
