"""A run: one training and all that it leaves, in a folder.

config.json            what was trained, on what, and how; the class names and the preprocessing
held-out.json          paths of the images that were drawn for testing, below the folder of the class folders; empty
                       where the data has a test/ or a val/. Of that data `evaluate` judges these images and no others
metrics.csv            one row an epoch: the same for the same training
metrics.jsonl          one line an epoch: metrics.csv and the time it took
last.safetensors       the weights after the last epoch
best.safetensors       the weights after the epoch with the highest validation accuracy
learning-curves.png    metrics.csv as a picture
confusion-matrix.png   of the test images, by the last weights; as are
class-accuracy.png     how well each class was told
worst-mistakes.png     the wrong answers with the highest loss
checkpoints/           from which `train --resume` goes on (see `resnext.training.checkpoints`)
report.html            all of it on one page, which needs no other file and no network
tensorboard/           events for TensorBoard, with `--tensorboard`
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resnext.backend import import_keras
from resnext.errors import ArgumentError, RunError
from resnext.files import write_atomically
from resnext.recipes.recipe import Recipe, check_dtype
from resnext.variants.naming import get_variant
from resnext.variants.variant import Variant

if TYPE_CHECKING:
    import keras

    from resnext.images.preprocessing import Preprocessing

CONFIG = "config.json"
HELD_OUT = "held-out.json"
METRICS = "metrics.csv"
RECORDS = "metrics.jsonl"
CURVES = {"epoch", "train_loss", "validation_loss", "train_accuracy", "validation_accuracy"}
WEIGHTS = {"last": "last.safetensors", "best": "best.safetensors"}
LEARNING_CURVES = "learning-curves.png"
CONFUSION_MATRIX = "confusion-matrix.png"
CLASS_ACCURACY = "class-accuracy.png"
WORST_MISTAKES = "worst-mistakes.png"
REPORT = "report.html"
EVENTS = "tensorboard"
LOCK = ".lock"


@dataclass(frozen=True)
class RunConfig:
    """What a run was asked for: enough to build its network again."""

    variant: Variant
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    recipe: Recipe
    data: str
    seed: int
    dtype: str
    weights: str | None  # that the training started from
    remat: bool
    skip_bad: bool
    tensorboard: bool
    checkpoint_every: int | None  # steps; None goes by time
    versions: dict[str, str]  # of this library, Keras and the backend, whose name is under "backend"

    def __post_init__(self):
        check_dtype(self.dtype)
        are_names = all(isinstance(name, str) and name for name in self.classes)
        if not (self.classes and are_names and len(set(self.classes)) == len(self.classes)):
            raise ArgumentError(f"`classes` must be one or more names, no two the same. Received: {self.classes}")


def check_unused(folder: Path) -> None:
    """Raise RunError where a run can't be written without touching what is there."""
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder}: is a file. A run needs a new or an empty folder: choose another --out.")
    # A process that was killed before it had written its configuration leaves its lock, or half a file.
    if folder.is_dir() and any(
        not path.name.startswith((LOCK, f".{CONFIG}.", f".{HELD_OUT}.")) for path in _in(folder)
    ):
        raise RunError(f"{folder}: already in use. A run needs a new or an empty folder: choose another --out.")


def _in(folder: Path) -> list[Path]:
    try:
        return [*folder.iterdir()]
    except OSError as error:
        raise RunError(f"{folder}: can't be read ({error.strerror}). Choose another --out.") from error


def half_written(folder: Path) -> list[Path]:
    """What a process left that was killed while it wrote a file: see `write_atomically`."""
    names = "|".join(map(re.escape, (CONFIG, HELD_OUT, METRICS, RECORDS, *WEIGHTS.values())))
    return [path for path in _in(folder) if re.fullmatch(rf"\.({names})\.\d+", path.name)]


def create_run(folder: Path, config: RunConfig, held_out: Sequence[str]) -> list[Path]:
    """Make the folder and write what is known before the training; returns what was made, for `discard_run`.

    Raises:
        RunError: the folder is in use or can't be made.
    """
    check_unused(folder)
    made = [] if folder.exists() else [folder]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in ((HELD_OUT, held_out), (CONFIG, to_json(config))):  # with the last it is a run
            text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
            write_atomically(folder / name, text.encode("utf-8", "surrogateescape"))  # a path may be any bytes
            made.append(folder / name)
    except OSError as error:
        discard_run(made)
        raise RunError(f"{folder}: can't be written to ({error.strerror}). Choose another --out.") from error
    return made


def to_json(config: RunConfig) -> dict[str, Any]:
    """What is written of it, as JSON gives it back."""
    document = {
        **dataclasses.asdict(config),
        "variant": _variant_to_json(config.variant),
        "preprocessing": config.preprocessing.to_json(),
    }
    return json.loads(json.dumps(document))


def discard_run(made: list[Path]) -> None:
    """Take back what `create_run` made, for a run that ended before it had weights."""
    with contextlib.suppress(OSError):  # what went wrong before is what the user must hear
        for path in reversed(made):
            path.rmdir() if path.is_dir() else path.unlink()


def is_run(folder: str | Path) -> bool:
    """Whether a training has begun in the folder."""
    return (Path(folder) / CONFIG).is_file()


def read_run(folder: str | Path) -> RunConfig:
    """The configuration of a run.

    Raises:
        RunError: not a run folder, or its configuration is damaged.
    """
    from resnext.images.preprocessing import Preprocessing

    path = Path(folder) / CONFIG
    if not is_run(folder):
        raise RunError(f"{folder}: not a run folder (no {CONFIG}). Give the --out of a `resnext train`.")
    with _reading(path) as document:
        return RunConfig(
            **{
                **document,
                "variant": _variant_from_json(document["variant"]),
                "classes": tuple(_list(document["classes"])),
                "preprocessing": Preprocessing.from_json(document["preprocessing"]),
                "recipe": Recipe.from_json(document["recipe"]),
            }
        )


def read_held_out(folder: str | Path) -> list[str]:
    """Which images the training kept for testing, as `load_held_out` takes them. Raises RunError."""
    with _reading(Path(folder) / HELD_OUT) as paths:
        if not all(isinstance(path, str) for path in _list(paths)):
            raise ValueError("not a list of paths")
        return paths


def read_records(folder: str | Path) -> list[dict[str, float]]:
    """The rows of metrics.jsonl, one for each finished epoch, at least one. Raises RunError."""
    path = Path(folder) / RECORDS
    if not path.is_file():
        raise RunError(f"{folder}: has no {RECORDS}: no epoch of it was finished. Give another run.")
    with _reading(path, lines=True) as rows:
        if not rows or any(row.keys() != rows[0].keys() or not _are_numbers(row) for row in rows):
            raise ValueError("rows of numbers under the same names are expected")
        if missing := CURVES - rows[0].keys():
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        return rows


def _are_numbers(row: dict[str, object]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in row.values())


def _variant_to_json(variant: Variant) -> str | dict[str, Any]:
    """Its name, where that says everything."""
    try:
        named = get_variant(variant.name)
    except ValueError:
        named = None
    return variant.name if named == variant else dataclasses.asdict(variant)


def _variant_from_json(document: object) -> Variant:
    if isinstance(document, dict):
        return Variant.from_json(document)
    return get_variant(document)  # type: ignore[arg-type]


def _list(value: object) -> list:
    if not isinstance(value, list):  # a text is a sequence of texts, too
        raise ValueError(f"{value!r} is not a list")
    return value


@contextlib.contextmanager
def _reading(path: Path, lines: bool = False) -> Iterator[Any]:
    """The JSON document in the file, or one of each line; whatever fails inside the `with` becomes a RunError."""
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
        yield [json.loads(line) for line in text.splitlines()] if lines else json.loads(text)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise RunError(f"{path}: damaged, or of another version of resnext ({error}).") from error


def load_classifier(folder: str | Path, weights: str = "best") -> tuple[keras.Model, RunConfig]:
    """The trained network of a run, folded, from uint8 images to logits, and the run's configuration.

    Args:
        folder: of the run.
        weights: "best" or "last".

    Raises:
        RunError, WeightsError: the folder or its weights can't be used.
    """
    config = read_run(folder)
    return build_classifier(folder, config, weights), config


def build_classifier(folder: str | Path, config: RunConfig, weights: str) -> keras.Model:
    """The network of `load_classifier`, where the run's configuration is read already."""
    path = Path(folder) / WEIGHTS[weights]
    _check_size(path, config)
    import_keras()
    from resnext.model.classifier import image_classifier, image_network, keras_config
    from resnext.model.folding import fold
    from resnext.weights.load import load_weights

    with keras_config(config.dtype, "channels_last"):
        network = image_network(config.variant, len(config.classes), config.preprocessing)
        load_weights(network, path)
        return image_classifier(fold(network), config.preprocessing)


def _check_size(path: Path, config: RunConfig) -> None:
    """Refuse a run whose network is larger than its weights before memory is given to it."""
    from resnext.variants.complexity import complexity

    name, cost = config.variant.name, complexity(config.variant, classes=len(config.classes))
    least = 2 * (cost.parameters + cost.moving_statistics)  # bytes, in half precision
    if path.is_file() and path.stat().st_size < least:
        raise RunError(
            f"{path}: {path.stat().st_size:,} bytes, too few for {name} with {len(config.classes)} classes "
            f"(at least {least:,}). The file or the folder's {CONFIG} is damaged."
        )
