"""A network in Keras, on its current backend and devices."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from resnext.distributed import SINGLE, Cluster
from resnext.engines.engine import Engine, OutputName, Outputs

if TYPE_CHECKING:
    import keras


class KerasEngine(Engine):
    """A Keras classifier.

    Args:
        classifier: model from uint8 images to its outputs, as `image_classifier` and `trained_classifiers` build it.
        names: names of its outputs, in order.
        cluster: processes and devices that compute together; each passes its own rows of a batch.
        several: whether an image may have any number of classes.
    """

    name = "keras"

    def __init__(
        self,
        classifier: keras.Model,
        names: Sequence[OutputName] = ("logits",),
        cluster: Cluster = SINGLE,
        several: bool = False,
    ):
        self.classifier, self.names, self.cluster, self.several = classifier, tuple(names), cluster, several
        self.kernel = _kernel(classifier) if "maps" in names else None
        self._counts: set[int] = set()  # numbers of images that are compiled

    def outputs(self, images: np.ndarray) -> Outputs:
        """Compute a batch, padded to a compiled number of images if there is one.

        If several devices compute, each process passes its own rows and gets the outputs of the complete batch.
        """
        if self.cluster.devices > 1:
            return self._outputs(self.arrays(images))
        count = len(images)
        filled = min((each for each in self._counts if each >= count), default=count)
        self._counts.add(filled)
        if filled > count:
            images = np.concatenate([images, np.repeat(images[-1:], filled - count, axis=0)])
        return self._outputs([array[:count] for array in self.arrays(images)])

    def _outputs(self, arrays: list[np.ndarray]) -> Outputs:
        named = dict(zip(self.names, arrays, strict=True))
        return Outputs(named["logits"], named.get("embedding"), named.get("maps"), self.kernel, several=self.several)

    def arrays(self, images: np.ndarray) -> list[np.ndarray]:
        """Return the classifier's outputs in order, as float32."""
        with _no_gradients(), _no_retracing_warning():
            outputs = self.cluster.predict(self.classifier, images)
        return [np.array(output, np.float32) for output in (outputs if isinstance(outputs, list) else [outputs])]


def _kernel(classifier: keras.Model) -> np.ndarray:
    from resnext.model.classifier import head_weights

    return head_weights(classifier)[0]


def _no_gradients() -> contextlib.AbstractContextManager:
    """Disable PyTorch's bookkeeping for gradients."""
    import keras

    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.inference_mode()


@contextlib.contextmanager
def _no_retracing_warning() -> Iterator[None]:
    """Discard TensorFlow's warning of frequent tracing: it takes the functions of all networks of a process for one."""

    def is_other(record: logging.LogRecord) -> bool:
        return "retracing" not in record.getMessage()

    tensorflow = logging.getLogger("tensorflow")
    tensorflow.addFilter(is_other)
    try:
        yield
    finally:
        tensorflow.removeFilter(is_other)
