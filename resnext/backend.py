"""Keras's backend: choosing it, and importing it without notes on standard error."""

import contextlib
import importlib
import importlib.metadata
import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path

from resnext.errors import ArgumentError, MissingBackendError, OutOfMemoryError

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")  # if Linux has one
BACKENDS = ("tensorflow", "jax", "torch")
DISTRIBUTIONS = {"tensorflow": ("tensorflow", "tensorflow-cpu")}  # of modules that several have
NO_MEMORY = ("failed to map segment", "annot allocate memory")  # of the loader of shared libraries


def installed_backend() -> str:
    """Return the backend that Keras is configured for or, if it is not installed, one that is."""
    folder = os.path.expanduser(os.environ.get("KERAS_HOME", "~/.keras"))
    try:
        preferred = json.loads(Path(folder, "keras.json").read_bytes())["backend"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):  # Keras also ignores a damaged file
        preferred = BACKENDS[0]
    preferred_first = sorted(BACKENDS, key=lambda name: name != preferred)
    return next((name for name in preferred_first if importlib.util.find_spec(name)), preferred_first[0])


def import_keras() -> None:
    """Import Keras without the notes that TensorFlow's libraries write to standard error regardless of the log level.

    Raises:
        MissingBackendError: the backend is unknown or not installed.
        OutOfMemoryError: its libraries do not fit into memory.
    """
    chosen = os.environ.get("KERAS_BACKEND") or BACKENDS[0]
    if chosen not in BACKENDS:
        raise MissingBackendError(f"KERAS_BACKEND is {chosen!r}; allowed: {', '.join(BACKENDS)}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # no notes on its memory in a notebook; warnings stay
    with silent():
        try:
            keras = importlib.import_module("keras")
            # With another backend, Keras imports TensorFlow when it first writes a configuration: do it now, silently.
            keras.dtype_policies.serialize(keras.dtype_policies.get("float32"))
        except ModuleNotFoundError as error:
            if error.name not in BACKENDS:
                raise
            raise MissingBackendError(
                f"Keras's backend {chosen} is not installed: pip install 'resnext[cpu]' for TensorFlow, "
                "or 'resnext[jax]', or 'resnext[torch]'"
            ) from error
        except (ImportError, MemoryError) as error:
            if isinstance(error, ImportError) and not any(words in str(error) for words in NO_MEMORY):
                raise
            raise OutOfMemoryError(f"not enough memory to load {chosen}. Raise the limit (ulimit -v).") from error


def choose_device(device: str | None) -> None:
    """Let the backend compute on the CPU, on a GPU, or on one GPU of several; it must not be imported yet.

    Args:
        device: "cpu", "gpu" or "gpu:N"; None leaves the choice to the backend.

    Raises:
        ArgumentError: another value, or the backend has no GPU to compute on.
    """
    if device is None:
        return
    if device == "cpu":
        os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu", "KERAS_TORCH_DEVICE": "cpu"}
        return
    kind, _, number = device.partition(":")
    if kind != "gpu" or (number and not number.isdecimal()) or device.endswith(":"):
        raise ArgumentError(f"`device` must be cpu, gpu, or gpu:N for one of several. Received: {device!r}")
    if number:
        os.environ["CUDA_VISIBLE_DEVICES"] = number
    import_keras()
    if not has_accelerator():
        raise ArgumentError(f"`device` {device}: {os.environ['KERAS_BACKEND']} finds no such GPU. Allowed here: cpu")


def describe_device() -> str:
    """Return the backend, the device it computes on, and its memory, in words. Imports Keras.

    >>> describe_device()  # doctest: +SKIP
    'tensorflow on the CPU, 2 cores, 15.6 GB'
    """
    import keras

    backend = keras.backend.backend()
    if has_accelerator():
        names, memory = _accelerators(backend)
        count = f"{len(names)} x " if len(names) > 1 else ""
        return f"{backend} on {count}{names[0]}" + (f", {memory / 1e9:.1f} GB" if memory else "")
    memory = f", {bytes_ / 1e9:.1f} GB" if (bytes_ := memory_bytes()) else ""
    unused = "" if not NVIDIA_DRIVER.exists() else f"; this machine has an NVIDIA GPU, which {backend} does not use"
    return f"{backend} on the CPU, {usable_cores()} cores{memory}{unused}"


def describe_devices() -> list[str]:
    """Return the devices of Keras's backend: its accelerators, or the CPU. Imports Keras."""
    import keras

    return _accelerators(keras.backend.backend())[0] if has_accelerator() else ["CPU"]


def memory_bytes() -> int | None:
    """Return the memory of this machine in bytes; None where the system does not tell, as on Windows."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _accelerators(backend: str) -> tuple[list[str], int | None]:
    """Return the names of the accelerators, and the first one's memory in bytes if the backend reports it."""
    if backend == "tensorflow":
        import tensorflow as tf

        devices = tf.config.list_physical_devices("GPU")
        return [tf.config.experimental.get_device_details(each).get("device_name", "GPU") for each in devices], None
    if backend == "jax":
        import jax

        return [each.device_kind for each in jax.devices()], (jax.devices()[0].memory_stats() or {}).get("bytes_limit")
    import torch

    if not torch.cuda.is_available():
        return ["Apple GPU (MPS)"], None
    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return names, torch.cuda.get_device_properties(0).total_memory


def has_accelerator() -> bool:
    """Return whether the backend computes on an accelerator rather than the CPU. Imports Keras."""
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    if backend == "jax":
        import jax

        return jax.default_backend() != "cpu"
    import torch

    return torch.cuda.is_available() or torch.backends.mps.is_available()


def is_apple_gpu() -> bool:
    """Return whether PyTorch computes on an Apple GPU. Imports Keras."""
    import torch

    return os.environ.get("KERAS_TORCH_DEVICE", "mps") == "mps" and torch.backends.mps.is_available()


def version_of(package: str) -> str | None:
    """Return the version of a package, without importing it; None if it is not installed.

    >>> version_of("no-such-package") is None
    True
    """
    for name in DISTRIBUTIONS.get(package, (package,)):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(name)
    return None


def installed_versions(devices: int = 1) -> dict[str, str]:
    """Return the facts that decide whether two trainings agree bit for bit: backend, versions, devices if several.

    Imports Keras.
    """
    import keras

    backend = keras.backend.backend()
    versions = {"backend": backend}
    for package in ("resnext", "keras", "numpy", "pillow", *DISTRIBUTIONS.get(backend, (backend,))):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions if devices == 1 else {**versions, "devices": str(devices)}


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Discard everything that libraries write to standard error inside the block."""
    stderr = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
