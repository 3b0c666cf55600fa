"""The interface of every engine: uint8 images in, named outputs out."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from resnext.distributed import SINGLE, Cluster
from resnext.errors import WeightsError, missing_package
from resnext.metrics.probabilities import sigmoid, softmax

EngineName = Literal["openvino", "onnxruntime", "keras", "openvino-bfloat16"]  # those that can compute any network
OutputName = Literal["logits", "embedding", "maps"]
EXTRAS = {
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "openvino": "openvino",
    "ai_edge_litert": "litert",
    "tensorflow": "cpu",
    "torch": "torch",
    "huggingface_hub": "hub",
}


@dataclass(frozen=True)
class Outputs:
    """The outputs of a network for a batch of images; the first axis of each array is the images.

    Args:
        logits: float32 (images, classes); for a file without logits, the logarithms of its probabilities, which are
            logits, too.
        embedding: float32 (images, channels), the pooled features before the head.
        features: float32 (images, rows, columns, channels), the features before the pool.
        kernel: float32 (channels, classes), the kernel of the head, which turns features into maps.
        maps: float32 (images, classes, rows, columns), class activation maps that a file computes itself.
        several: whether an image may have any number of classes: the probability of each is a sigmoid's, by itself.
    """

    logits: np.ndarray
    embedding: np.ndarray | None = None
    features: np.ndarray | None = None
    kernel: np.ndarray | None = None
    maps: np.ndarray | None = None
    several: bool = False

    def finite(self, model: str) -> Outputs:
        """Return these outputs. Raises WeightsError, which names the model, if a logit is not finite."""
        if not np.isfinite(self.logits).all():
            raise WeightsError(
                f"{model}: the network computes values that are not finite, so that its weights are damaged or do not "
                "belong to it. Pass another model."
            )
        return self

    def probabilities(self, temperature: float = 1.0) -> np.ndarray:
        """Return float32 (images, classes), calibrated by a temperature if it is not 1."""
        scaled = self.logits / np.float32(temperature)
        return sigmoid(scaled) if self.several else softmax(scaled)

    @property
    def has_maps(self) -> bool:
        """Whether `activation_map` is available."""
        return self.maps is not None or self.features is not None

    def activation_map(self, image: int, label: int) -> np.ndarray:
        """Return the class activation map of a class, float32 (rows, columns), in logits.

        Its mean plus the bias of the head is the class's logit (Zhou et al. 2016, https://arxiv.org/abs/1512.04150).
        """
        if self.maps is not None:
            return self.maps[image, label]
        if self.features is None or self.kernel is None:
            raise ValueError("maps were not requested, or the file has none")
        return self.features[image] @ self.kernel[:, label]

    def part(self, first: int, count: int) -> Outputs:
        """Return the outputs for some of the images, as copies: a view would keep the complete batch in memory."""
        arrays = {name: array[first : first + count].copy() for name, array in self._arrays()}
        return replace(self, **arrays)

    @classmethod
    def joined(cls, parts: Sequence[Outputs]) -> Outputs:
        """Return the outputs of several batches as one."""
        if len(parts) == 1:
            return parts[0]
        arrays = [dict(part._arrays()) for part in parts]
        return replace(parts[0], **{name: np.concatenate([each[name] for each in arrays]) for name in arrays[0]})

    def _arrays(self) -> list[tuple[str, np.ndarray]]:
        known = {"logits": self.logits, "embedding": self.embedding, "features": self.features, "maps": self.maps}
        return [(name, array) for name, array in known.items() if array is not None]


class Engine(ABC):
    """A trained network in a runtime; only one thread at a time may use it."""

    name = ""  # as users type and read it
    cluster: Cluster = SINGLE  # processes and devices that compute together

    @abstractmethod
    def outputs(self, images: np.ndarray) -> Outputs:
        """Compute the outputs for uint8 (images, size, size, 3)."""


def check_installed(package: str, what: str) -> None:
    """Raise MissingPackageError unless a package is installed."""
    if importlib.util.find_spec(package) is None:
        raise missing_package(what, package.replace("_", "-"), EXTRAS[package])
