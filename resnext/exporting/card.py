"""A model card: a network's architecture, training data, accuracy and use."""

from __future__ import annotations

from typing import Any

from resnext.engines.description import Description
from resnext.inference.evaluate import Evaluated
from resnext.inference.evaluation_files import baseline_name, baseline_text, metric_text, to_document
from resnext.inference.model import Model
from resnext.metrics.names import NAMES
from resnext.metrics.remarks import sentence
from resnext.variants.complexity import complexity
from resnext.variants.names import full_name

SHOWN = 50  # classes
SEVERAL = (
    "An image may have any number of them: the probability of each is the sigmoid of its logit, and an image has the "
    "class from the threshold in config.json."
)


def model_card(model: Model, description: Description, evaluated: Evaluated | None, trained_on: int | None) -> str:
    """Return a README.md, headed by the fields that huggingface.co reads.

    Args:
        model: opened model.
        description: description in the exported files.
        evaluated: evaluation of a run on the images that it held out; None for weights, or if the images are gone.
        trained_on: number of images that the run was trained on, or None for the same reasons.
    """
    facts = description.facts
    size = model.preprocessing.size
    cost = complexity(model.variant, (size, size, model.preprocessing.channel_count), len(model.classes))
    head = ["---", f"license: {facts.get('licence', 'other')}", "library_name: timm", "tags:", "- image-classification"]
    head += ["- resnext", "- keras", "---"]
    classes = ", ".join(model.classes[:SHOWN]) + (", ..." if len(model.classes) > SHOWN else "")
    sections = [
        f"# {facts['model']}",
        f"{full_name(model.variant)} (ResNeXt, [Xie et al. 2017](https://arxiv.org/abs/1611.05431)), trained with "
        "resnext.",
        "## Network",
        f"{cost.parameters:,} parameters, {cost.multiply_adds:,} multiply-adds at {size} x {size}.",
        "## Classes",
        f"{len(model.classes):,}: {classes}",
        *([SEVERAL] if model.several else []),
        "## Images",
        _images(model),
        "## Training",
        *_training(model, description, trained_on),
        "## Result",
        *_result(model, evaluated),
        "## Use",
        _use(model),
    ]
    return "\n".join(head) + "\n\n" + "\n\n".join(sections) + "\n"


def _images(model: Model) -> str:
    given = model.preprocessing
    fit = f"{given.fit} to {given.resize}, crop of {given.size}"
    if given.fit == "crop":
        fit = f"shorter side resized to {given.resize}, centre crop of {given.size}"
    scaled = f"values from 0 to 1, less the mean {given.mean}, divided by the standard deviation {given.std}"
    return f"Upright by EXIF, in sRGB; {fit} pixels, {given.interpolation}, antialiased; {scaled}."


def _training(model: Model, description: Description, trained_on: int | None) -> list[str]:
    facts = description.facts
    if model.run is None:
        weights = facts.get("weights")
        return [f"The published weights {weights}." if weights else "Unknown: the weights came without a run."]
    recipe = model.run.config.recipe
    images = f", {trained_on:,} images" if trained_on else ""
    lines = [
        f"Data: {facts['data']}{images}.",
        f"Recipe `{recipe.name}`: {recipe.epochs} epochs, batch size {recipe.batch_size}, learning rate "
        f"{recipe.learning_rate:g}, {recipe.optimizer}, seed {model.run.config.options.seed}.",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in facts["versions"].items()) + ".",
    ]
    if facts.get("started_from"):
        lines.append(f"It started from {facts['started_from']}, whose licence applies.")
    return lines


def _result(model: Model, evaluated: Evaluated | None) -> list[str]:
    if model.run and evaluated:
        return _metrics(model, to_document(model, model.run.config.data, evaluated), evaluated)
    if model.run and model.run.epochs_done:
        return [sentence(model.run.history.best_in_words)]
    if model.published:
        rows = [
            f"- top-1 {top1} %, top-5 {top5} % at {how.size} pixels"
            for how, top1, top5 in model.published.accuracies
            if top1
        ]
        return ["\n".join(["On ImageNet-1K, as published:", "", *rows])] if rows else ["Not published."]
    return ["Not evaluated."]


def _metrics(model: Model, document: dict[str, Any], evaluated: Evaluated) -> list[str]:
    """Return tables of the metrics with their intervals, and of each class."""
    metrics = [f"| {NAMES[name]} | {metric_text(name, entry)} |" for name, entry in document["metrics"].items()]
    classes = [
        f"| {row['name']} | {row['images']:,} | {100 * row['precision']:.1f} % | {100 * row['recall']:.1f} % |"
        for row in document["classes"][:SHOWN]
    ]
    seen = evaluated.seen
    images = f"On {document['images']:,} images" + ("" if seen and seen.trained_on else " that it was not trained on")
    remarks = [*map(sentence, seen.remarks if seen else [])]
    remarks.append("In parentheses: 95 % intervals, of shares by Wilson, of the others by a bootstrap.")
    metrics.append(f"| {baseline_name(document)} | {baseline_text(document)} |")
    return [
        " ".join([f"{images}.", *remarks]),
        "\n".join(["| metric | value |", "|---|---|", *metrics]),
        "\n".join(["| class | images | precision | recall |", "|---|---|---|---|", *classes]),
    ]


def _use(model: Model) -> str:
    return """```
resnext predict FOLDER photo.jpg        # FOLDER is the folder of this file
```

```python
import timm

network = timm.create_model("local-dir:FOLDER", pretrained=True)
```"""
