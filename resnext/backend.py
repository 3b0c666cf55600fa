"""The backend of Keras: its choice and its import without notes on standard error."""

import contextlib
import importlib
import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path

from resnext.errors import MissingBackendError

BACKENDS = ("tensorflow", "jax", "torch")


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
    """
    chosen = os.environ.get("KERAS_BACKEND") or BACKENDS[0]
    if chosen not in BACKENDS:
        raise MissingBackendError(f"KERAS_BACKEND is {chosen!r}; allowed: {', '.join(BACKENDS)}")
    with silent():
        try:
            keras = importlib.import_module("keras")
            # Beside another backend, Keras imports TensorFlow when it first writes a configuration: now, silently.
            keras.dtype_policies.serialize(keras.dtype_policies.get("float32"))
        except ModuleNotFoundError as error:
            if error.name not in BACKENDS:
                raise
            raise MissingBackendError(
                f"Keras's backend {chosen} is not installed: pip install 'resnext[cpu]' for TensorFlow, "
                "or 'resnext[jax]', or 'resnext[torch]'"
            ) from error


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


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Discard everything that any library writes to standard error inside the block."""
    stderr = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
