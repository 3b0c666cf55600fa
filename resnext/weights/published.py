"""Published weights: their locations, measured accuracies and licences.

Facts only; no weights come with this package. `published_weights.csv` has a row for each tag and size. Sources: timm's
results on ImageNet's validation images and its model cards (1.0.31), torchvision's metadata (0.29.1), the READMEs of
https://github.com/facebookresearch/WSL-Images, https://github.com/keras-team/keras-applications and
https://github.com/qubvel/classification_models.
"""

import csv
import fnmatch
import functools
from importlib import resources
from typing import NamedTuple

from resnext.errors import ArgumentError
from resnext.images.preprocessing import Preprocessing
from resnext.variants.complexity import complexity
from resnext.variants.names import get_variant

FREE = ("apache-2.0", "bsd-3-clause")  # licences that allow every use
NON_COMMERCIAL = {"cc-by-nc-4.0": "Creative Commons Attribution-NonCommercial 4.0"}


class Accuracy(NamedTuple):
    """Accuracy on ImageNet-1K's validation images, one crop, in %; None if not published."""

    preprocessing: Preprocessing
    top1: float | None
    top5: float | None


class PublishedWeights(NamedTuple):
    """A weights file with timm's name, `variant.training`, and the facts about it."""

    tag: str
    licence: str  # SPDX, in lower case
    classes: int
    accuracies: tuple[Accuracy, ...]  # by size
    url: str | None  # of its authors' file; None if only the hub has it

    @property
    def variant(self) -> str:
        return self.tag.split(".")[0]

    @property
    def hub(self) -> str | None:
        """The repository on huggingface.co; None for files that timm has not uploaded."""
        elsewhere = ("legacy_", "keras_in1k", "mxnet_in1k", "32x48d")
        return None if any(word in self.tag for word in elsewhere) else f"timm/{self.tag}"

    @property
    def preprocessing(self) -> Preprocessing:
        """The preprocessing at the default size of `ResNeXt`, or at the largest that was measured."""
        by_size = {accuracy.preprocessing.size: accuracy.preprocessing for accuracy in self.accuracies}
        return by_size.get(224, self.accuracies[-1].preprocessing)


def list_weights(pattern: str = "*") -> list[str]:
    """Return the tags of published weights that match a shell pattern.

    >>> list_weights("resnext50_32x4d.a*")
    ['resnext50_32x4d.a1_in1k', 'resnext50_32x4d.a1h_in1k', 'resnext50_32x4d.a2_in1k', 'resnext50_32x4d.a3_in1k']
    """
    return [tag for tag in published_weights() if fnmatch.fnmatchcase(tag, pattern)]


@functools.cache
def published_weights() -> dict[str, PublishedWeights]:
    """Return all published weights by tag.

    >>> published_weights()["resnext50_32x4d.tv_in1k"].accuracies[0].top1
    77.632
    """
    rows: dict[str, list[dict[str, str]]] = {}
    text = resources.files("resnext.weights").joinpath("published_weights.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        rows.setdefault(row["tag"], []).append(row)
    return {tag: _weights(tag, rows_of_tag) for tag, rows_of_tag in rows.items()}


def find_weights(name: str) -> PublishedWeights | None:
    """Find published weights by tag, or by the file name of their authors.

    >>> find_weights("ig_resnext101_32x8-c38310e5.pth").licence
    'cc-by-nc-4.0'
    """
    weights = published_weights()
    by_file = {entry.url.rsplit("/")[-1]: entry for entry in weights.values() if entry.url}
    return weights.get(name) or by_file.get(name)


def default_weights(variant: str) -> str:
    """Return the tag that `weights="imagenet"` stands for: the first for ImageNet-1K whose licence allows every use.

    Raises:
        ArgumentError: there are none for this network.

    >>> default_weights("resnet50")
    'resnet50.tv2_in1k'
    """
    entries = (w for w in published_weights().values() if w.variant == variant and w.classes == 1000)
    tag = next((entry.tag for entry in entries if entry.licence in FREE and entry.hub), None)
    if tag is None:
        raise ArgumentError(
            f"weights='imagenet': no weights of {variant} are published under a licence that allows every use. "
            "Allowed: a file, hf:OWNER/NAME, or a tag that `resnext list --weights` shows."
        )
    return tag


def smallest_weights() -> str:
    """Return the tag of the ResNeXt for ImageNet-1K with the fewest multiply-adds whose licence allows every use.

    >>> smallest_weights()
    'seresnext26t_32x4d.bt_in1k'
    """
    entries = [w for w in published_weights().values() if w.hub and w.classes == 1000 and w.licence in FREE]
    entries = [w for w in entries if get_variant(w.variant).cardinality > 1]
    return min(entries, key=lambda w: complexity(get_variant(w.variant), classes=w.classes).multiply_adds).tag


def _weights(tag: str, rows: list[dict[str, str]]) -> PublishedWeights:
    accuracies = tuple(
        Accuracy(
            Preprocessing(int(row["size"]), int(row["resize"]), row["interpolation"]),
            float(row["top1"]) if row["top1"] else None,
            float(row["top5"]) if row["top5"] else None,
        )
        for row in rows
    )
    first = rows[0]
    return PublishedWeights(tag, first["licence"], int(first["classes"]), accuracies, first["source"] or None)
