"""Export to a folder that timm loads as well: weights, config.json, labels and a model card."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

from resnext.checksums import SHA256, digest_of
from resnext.engines.description import DESCRIPTION_SHA256
from resnext.errors import ArgumentError, DataError, ImageError
from resnext.exporting.calibration import training_images
from resnext.exporting.card import model_card
from resnext.exporting.network import Export
from resnext.inference.evaluate import Evaluated, evaluate_model, examples_for
from resnext.weights.convert import convert
from resnext.weights.timm_config import HUB_CONFIG, HUB_FILE, timm_config


def write(export: Export, path: Path) -> Path:
    """Write a trained network into a new folder, and return it.

    Args:
        export: network to write; its weights are written unchanged, because other programs build the network from them.
        path: folder to make.
    """
    model, description = export.model, export.description
    path.mkdir()
    convert(model.source, path / HUB_FILE, "timm", variant=model.variant)
    facts = {name: value for name, value in description.to_document().items() if name != "classes"}
    facts[SHA256] = hashlib.sha256((path / HUB_FILE).read_bytes()).hexdigest()
    config = timm_config(model.variant, model.classes, model.preprocessing, facts)
    config["resnext"][DESCRIPTION_SHA256] = digest_of(config)
    (path / HUB_CONFIG).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (path / "README.md").write_text(model_card(model, description, *_evaluated(export)), encoding="utf-8")
    return path


def _evaluated(export: Export) -> tuple[Evaluated, int] | tuple[None, None]:
    """Evaluate a run on the images that it held out, and count its training images, if they can still be read."""
    model = export.model
    with contextlib.suppress(DataError, ArgumentError, ImageError):
        if source := export.source:
            return evaluate_model(model, examples_for(model, source)), len(training_images(model, source))
    return None, None
