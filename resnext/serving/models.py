"""The models of a server by name; each is reloaded when its file changes, without losing a request."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from resnext.errors import ArgumentError, one_line
from resnext.inference.ensemble import names_of_members
from resnext.inference.model import Model
from resnext.serving.batcher import Batcher
from resnext.serving.metrics import Metrics
from resnext.serving.options import ServingOptions
from resnext.serving.pace import measure_pace

logger = logging.getLogger(__name__)

PERIOD = 1.0  # seconds between two checks of the files
Signature = tuple[tuple[str, int, int, int], ...]


class Loaded(NamedTuple):
    """A loaded model, ready to answer."""

    model: Model
    batcher: Batcher
    signature: Signature  # signature of its files before they were read


class ServedModel:
    """A named model, as it was last loaded.

    Args:
        name: name in paths of requests.
        source: user's argument, as `Model.open` accepts it.
        options: batch size, queue and deadline.
        metrics: counters of the server.
    """

    def __init__(self, name: str, source: str, options: ServingOptions, metrics: Metrics):
        self.name, self.source, self.options, self.metrics = name, source, options, metrics
        self.loaded = self._load()
        self.signature = self.loaded.signature

    def reload_if_changed(self) -> None:
        """Reload the model if its files have changed and are stable again; keep the old one if that fails."""
        new = _signature(self.loaded.model)
        if new == self.signature or not new:
            return
        time.sleep(PERIOD / 2)
        if _signature(self.loaded.model) != new:
            return  # it is still being written
        self.signature = new
        try:
            loaded = self._load()
        except Exception as error:  # of any kind, depending on the damage: the server continues
            self.metrics.reloads.labels(self.name, "failed").inc()
            logger.warning(f"{self.name}: could not be loaded again, the old one stays ({one_line(error)})")
            return
        old, self.loaded = self.loaded, loaded
        self.signature = loaded.signature
        self.metrics.reloads.labels(self.name, "loaded").inc()
        old.batcher.close(self.options.deadline)
        logger.info(f"{self.name}: loaded again")

    def _load(self) -> Loaded:
        model = Model.open(self.source).with_engine(None)
        signature = _signature(model)
        (engine,) = model.engines(outputs=("logits", "maps") if model.has_maps else ("logits",))
        shape = model.preprocessing.shape
        engine.outputs(np.zeros((1, *shape), np.uint8)).finite(self.source)
        pace = measure_pace(engine.outputs, shape, self.options.batch_size)
        batcher = Batcher(engine.outputs, pace, self.options.queue, self.options.deadline, self._count)
        self.metrics.waiting.labels(self.name).set_function(lambda: self.loaded.batcher.admitted)
        return Loaded(model, batcher, signature)

    def _count(self, images: int, seconds: float) -> None:
        self.metrics.batches.labels(self.name).observe(images)
        self.metrics.busy.labels(self.name).inc(seconds)


class Models:
    """All models of a server; the first is used by requests without a name.

    Args:
        sources: user's argument for each name, as `Model.open` accepts it.
        options: as in `ServedModel`.
        metrics: counters of the server.

    Raises:
        ArgumentError, RunError, WeightsError: a model cannot be used.
    """

    def __init__(self, sources: Mapping[str, str], options: ServingOptions, metrics: Metrics):
        self.by_name = {name: ServedModel(name, source, options, metrics) for name, source in sources.items()}
        self._stop = threading.Event()
        self._watch = threading.Thread(target=self._look, name="reload", daemon=True)
        self._watch.start()

    @property
    def first(self) -> ServedModel:
        """The model for requests without a name."""
        return next(iter(self.by_name.values()))

    def close(self, timeout: float) -> None:
        """Stop checking the files, and close the networks once all admitted work is answered."""
        self._stop.set()
        for served in self.by_name.values():
            served.loaded.batcher.close(timeout)
        self._watch.join(timeout)

    def _look(self) -> None:
        while not self._stop.wait(PERIOD):
            for served in self.by_name.values():
                served.reload_if_changed()


def by_name(words: Iterable[str]) -> dict[str, str]:
    """Return models by the names in `MODEL` or `NAME=MODEL`.

    >>> by_name(["signs=runs/first", "runs/first/", "birds.onnx"])
    {'signs': 'runs/first', 'first': 'runs/first/', 'birds': 'birds.onnx'}
    >>> by_name(["runs/first+runs/second"])
    {'first-second': 'runs/first+runs/second'}
    """
    models: dict[str, str] = {}
    for name, source in map(_named, words):
        if name in models:
            raise ArgumentError(f"two models are called {name}. Give each its own name: NAME=MODEL")
        models[name] = source
    if not models:
        raise ArgumentError("no model. Pass a run, weights, or an exported file: resnext serve runs/first")
    return models


def _named(word: str) -> tuple[str, str]:
    name, equals, source = word.partition("=")
    if equals and re.fullmatch(r"\w[\w.-]*", name, re.ASCII) and source:
        return name, source
    path = Path(word)
    if equals and not path.exists():
        raise ArgumentError(
            f"{word}: must be NAME=MODEL; a name has the letters a to z, digits, `_`, `.` and `-`, and begins with a "
            "letter or a digit."
        )
    if names := names_of_members(word):
        return "-".join(_named(each)[0] for each in names), word
    path = path.resolve() if path.name in ("", "..") else path  # otherwise a link keeps its own name
    stem = path.stem if path.suffix in (".onnx", ".xml", ".tflite", ".safetensors") else path.name
    return re.sub(r"[^\w.-]+|^\W+", "_", stem, flags=re.ASCII) or "model", word


def _files(path: Path) -> list[Path]:
    return [path, *path.rglob("*")] if path.is_dir() else [path, path.with_suffix(".bin")]


def _signature(model: Model) -> Signature:
    """Return a signature that changes with the files of a model; an empty tuple while one of them is absent."""
    try:
        files = [file for each in model.singles for file in _files(each.source) if file.is_file()]
        status = [file.stat() for file in files]
    except OSError:
        return ()
    return tuple(
        (str(file), each.st_mtime_ns, each.st_size, each.st_ino) for file, each in zip(files, status, strict=True)
    )
