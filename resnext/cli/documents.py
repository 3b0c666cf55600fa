"""What `list` and `info` tell of networks, weights, runs and models, as documents for programs."""

from __future__ import annotations

from typing import Any

from resnext.images.preprocessing import Preprocessing
from resnext.inference.model import Model
from resnext.runs.history import EpochRow
from resnext.runs.lock import owner
from resnext.runs.run import Run
from resnext.variants.complexity import complexity, stage_complexities
from resnext.variants.published import PUBLISHED
from resnext.variants.variant import Variant
from resnext.weights.published import PublishedWeights, published_weights


def entry_of_network(name: str) -> dict[str, Any]:
    """Return a row of `list`."""
    cost, published = complexity(name), PUBLISHED[name]
    first = published[0] if published else None
    return {
        "network": name,
        "parameters": cost.parameters,
        "multiply_adds": cost.multiply_adds,
        "top1_error": first and first.top1,
        "dataset": first and first.dataset,
    }


def entries_of_weights(tag: str) -> list[dict[str, Any]]:
    """Return the rows of `list --weights` for a tag: one for each size for which an accuracy is known."""
    known = published_weights()[tag]
    parameters = complexity(known.variant, classes=known.classes).parameters
    return [
        {
            "weights": tag,
            "network": known.variant,
            "parameters": parameters,
            "image_size": preprocessing.size,
            "top1": top1,
            "top5": top5,
            "licence": known.licence,
        }
        for preprocessing, top1, top5 in known.accuracies
    ]


def document_of_weights(known: PublishedWeights) -> dict[str, Any]:
    """Return what `info` tells of published weights."""
    return {
        "kind": "weights",
        "weights": known.tag,
        "network": known.variant,
        "classes": known.classes,
        "parameters": complexity(known.variant, classes=known.classes).parameters,
        "licence": known.licence,
        "source": known.hub and f"hf:{known.hub}",
        "url": known.url,
        "images": _images(known.preprocessing),
        "accuracies": [
            {
                "resize": each.resize,
                "image_size": each.size,
                "interpolation": each.interpolation,
                "top1": top1,
                "top5": top5,
            }
            for each, top1, top5 in known.accuracies
        ],
    }


def document_of_network(network: Variant, descriptions: list[str], departures: list[str]) -> dict[str, Any]:
    """Return what `info` tells of a network.

    Args:
        network: network.
        descriptions: each of its stages in words.
        departures: where it departs from the paper, in words.
    """
    rows, cost = stage_complexities(network), complexity(network)
    return {
        "kind": "network",
        "network": network.name,
        "depth": network.depth,
        "cardinality": network.cardinality,
        "bottleneck_width": network.bottleneck_width,
        "parameters": cost.parameters,
        "moving_statistics": cost.moving_statistics,
        "multiply_adds": cost.multiply_adds,
        "activations": cost.activations,
        "stages": [
            {
                "stage": f"conv{row.number}",
                "height": row.height,
                "width": row.width,
                "description": words,
                "parameters": row.cost.parameters,
                "multiply_adds": row.cost.multiply_adds,
            }
            for row, words in zip(rows, descriptions, strict=True)
        ],
        "departures": departures,
        "published": [error._asdict() for error in PUBLISHED.get(network.name, ())],
    }


def document_of_run(run: Run) -> dict[str, Any]:
    """Return what `info` and `train` tell of a run."""
    config = run.config
    history = run.history if run.epochs_done else None
    return {
        "kind": "run",
        "run": run.folder,
        "state": "finished" if run.is_finished else "training" if owner(run.folder) else "stopped",
        "epochs": run.epochs_done,
        "network": config.network,
        "parameters": config.cost.parameters,
        "classes": config.classes,
        "labels": "several" if config.several else "one",
        "data": config.data,
        "recipe": config.recipe.name,
        "started_from": config.options.weights,
        "images": _images(config.preprocessing),
        "versions": config.versions,
        "best_by": config.recipe.best_by,
        "best": history and _row(history.best),
        "last": history and _row(history.last),
    }


def document_of_model(model: Model) -> dict[str, Any]:
    """Return what `info` tells of a file of weights or an exported file."""
    known, file = model.preprocessing, model.file
    return {
        "kind": "model",
        "model": model.name,
        "network": model.variant.name,
        "parameters": parameters_of(model),
        "classes": model.classes,
        "labels": "several" if model.several else "one",
        "images": _images(known),
        "runtime": file and file.title,
        "input": file and file.description.input,
    }


def parameters_of(model: Model) -> int:
    """Return the number of parameters of a model, whatever channels it takes."""
    known = model.preprocessing
    return complexity(model.variant, (known.size, known.size, known.channel_count), len(model.classes)).parameters


def _images(known: Preprocessing) -> dict[str, Any]:
    return {
        "size": known.size,
        "resize": known.resize,
        "fit": known.fit,
        "interpolation": known.interpolation,
        "channels": known.channel_count,
        "mean": known.mean,
        "std": known.std,
    }


def _row(row: EpochRow) -> dict[str, Any]:
    return {name: value for name, value in row._asdict().items() if name != "weights_sha256"}
