"""Where a network looks: class activation maps in closed form (Zhou et al. 2016, https://arxiv.org/abs/1512.04150).

The head is linear and follows global average pooling, so a class's logit is the mean over the positions of
map[h, w] = sum over k of features[h, w, k] * kernel[k, class], plus the bias. For such networks Grad-CAM (Selvaraju et
al. 2017, https://arxiv.org/abs/1610.02391) is this map, without its negative part, divided by the number of positions.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from resnext.data.batches import reading_threads
from resnext.data.folders import Member
from resnext.data.prediction_inputs import Input, Inputs, arguments_of, check_inputs, read_ahead
from resnext.engines.engine import Engine, Outputs
from resnext.errors import ArgumentError, did_you_mean
from resnext.images.bands import as_shown
from resnext.images.decode import read_image
from resnext.images.pixels import as_pixels
from resnext.images.preprocessing import Preprocessing
from resnext.inference.answers import Answers
from resnext.inference.fine_maps import fine_maps, times_finer
from resnext.inference.model import Model
from resnext.inference.predict import load_or_apply, read_input

BATCH_SIZE = 8
LONGEST = 1_024  # pixels of the longer side of a photo that is drawn


class Explanation(NamedTuple):
    """An image, the explained class, and its activation map; or the reason why the image can't be read."""

    image: str
    name: str | None = None
    probability: float = 0.0
    map: np.ndarray | None = None  # float32 (height, width), in logits: its mean and the bias are the class's logit
    photo: np.ndarray | None = None  # uint8 (height, width, 3), upright, at most LONGEST pixels
    error: str | None = None

    def __repr__(self) -> str:
        what = f"error: {self.error}" if self.error else f"{self.name} {100 * self.probability:.2f} %"
        return f"Explanation({self.image}: {what})"


def explain(
    model: str | Path | Model,
    images: Any,
    *,
    weights: str | None = None,
    class_name: str | None = None,
    follow_links: bool = False,
    fine: bool = False,
) -> Answers[Explanation]:
    """Compute the class activation map of each image, in order: one forward pass, no gradient.

    Args:
        model: as in `predict`.
        images: as in `predict`.
        weights: as in `predict`.
        class_name: class to explain; by default the predicted class of each image.
        follow_links: whether links may lead out of a folder of images.
        fine: whether a map of few positions gets more, by looking at the image again, moved by parts of a position
            (see `resnext.inference.fine_maps`).

    Returns:
        An iterator over the explanations, which also has the engine and the files that were left out.

    Raises:
        ArgumentError, RunError, WeightsError: before the first image.

    >>> next(explain("runs/signs", "hand.jpg")).map.shape  # doctest: +SKIP
    (2, 2)
    """
    arguments = arguments_of(images)
    opened = Model.open(model, weights)
    chosen = None if class_name is None else class_index(opened, class_name)
    check_inputs(arguments)
    (engine,) = opened.engines(outputs=("logits", "maps"))
    inputs = Inputs(arguments, getattr(sys.stdin, "buffer", None), follow_links)
    return Answers(_explanations(opened, engine, inputs, chosen, fine), opened.engine_name, inputs.left_out)


def class_index(model: Model, name: str) -> int:
    """Return the index of a class. Raises ArgumentError for an unknown name."""
    if name not in model.classes:
        hint = did_you_mean(name, list(model.classes)) or f" The first classes are {', '.join(model.classes[:5])}."
        raise ArgumentError(f"{model.name} has no class {name!r}.{hint}")
    return model.classes.index(name)


def _explanations(
    model: Model, engine: Engine, inputs: Iterable[Input], chosen: int | None, fine: bool
) -> Iterator[Explanation]:
    threads = reading_threads()
    images = iter(
        read_ahead(
            inputs, partial(read_input, partial(_seen, model.preprocessing)), threads, ahead=BATCH_SIZE + threads
        )
    )
    while part := list(islice(images, BATCH_SIZE)):
        seen = [each.pixels for _, each in part if not isinstance(each, str)]
        answers = _answers(model, engine, np.stack(seen), chosen, fine) if seen else iter(())
        for image, each in part:
            if isinstance(each, str):
                yield Explanation(image.name, error=each)
                continue
            label, share, activation = next(answers)
            yield Explanation(image.name, model.classes[label], share, activation, each.photo)


def _answers(
    model: Model, engine: Engine, pixels: np.ndarray, chosen: int | None, fine: bool
) -> Iterator[tuple[int, float, np.ndarray]]:
    """Yield the explained class of each image, its probability and its activation map."""
    outputs = engine.outputs(pixels).finite(model.name)
    found = [*_classes(model, outputs, chosen)]
    maps = [outputs.activation_map(number, label) for number, (label, _) in enumerate(found)]
    side, rows = model.preprocessing.size, maps[0].shape[0]
    times = times_finer(rows, side) if fine else 1
    if times > 1:
        labels = [label for label, _ in found]
        maps = fine_maps(engine.outputs, pixels, labels, times, side // rows // times, model.preprocessing.fill)
    for (label, share), activation in zip(found, maps, strict=True):
        yield label, share, activation


def _classes(model: Model, outputs: Outputs, chosen: int | None) -> Iterator[tuple[int, float]]:
    """Yield the explained class of each image, and its probability."""
    for probabilities in outputs.probabilities():
        labels = model.labels(probabilities) if model.several else ()
        predicted = model.classes.index(labels[0]) if labels else int(probabilities.argmax())
        label = predicted if chosen is None else chosen
        yield label, float(probabilities[label])


class _Seen(NamedTuple):
    """An image as the network sees it and as people see it, both uint8 (height, width, 3)."""

    pixels: np.ndarray
    photo: np.ndarray


def _seen(preprocessing: Preprocessing, source: Any) -> _Seen:
    is_file = isinstance(source, Path | Member)
    if is_file and isinstance(preprocessing.channels, str):
        small = Image.fromarray(read_image(source, at_least=LONGEST))
    else:
        small = Image.fromarray(
            as_shown(np.asarray(preprocessing.read(source)) if is_file else as_pixels(source, preprocessing.channels))
        )
    small.thumbnail((LONGEST, LONGEST))
    return _Seen(load_or_apply(preprocessing, source), np.asarray(small))
