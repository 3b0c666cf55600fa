"""The configuration of a run, `config.json`: enough to rebuild its network and to resume its training."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from resnext.data.holdout import Holdout
from resnext.errors import ArgumentError, counted
from resnext.images.preprocessing import Preprocessing
from resnext.keywords import as_call
from resnext.recipes.complete import CompleteRecipe
from resnext.recipes.recipe import Dtype, Recipe, check_dtype
from resnext.variants.complexity import complexity
from resnext.variants.layer_table import Complexity
from resnext.variants.names import full_name, get_variant
from resnext.variants.variant import Shortcut, Variant
from resnext.weights.hub import check_source

FormName = Literal["a", "b", "c", "sliced"]
Labels = Literal["one", "several"]


LogKind = Literal["jsonl", "tensorboard", "wandb", "mlflow", "trackio"]


@dataclass(frozen=True)
class TrainingOptions:
    """How a training is run, apart from its recipe; all of these belong to the run, and resuming keeps them.

    Args:
        weights: weights to start from: a file, a run folder, hf:OWNER/NAME, the tag of published weights, or auto for
            the smallest published ResNeXt; random by default.
        seed: seed of the initial weights, the order of the images, the augmentation and a drawn split.
        dtype: Keras dtype policy.
        form: form of its blocks: a, b or c, which are the same function at different speeds; or sliced, form b of a
            network whose paths see only their slice of a block's input.
        shortcut: shortcuts where shapes change (A, B, D), in every block (C), or none; by default the network's own.
        remat: recompute the blocks in the backward pass, for less memory, more time and the same weights.
        skip_bad: images of a part that may be left out because they cannot be read: a number, or a share below 1.
        follow_links: read images through links that lead out of the folder of the data.
        held_out: share of each class to hold out if the data has no test part; by default one sixth.
        folds: parts for a cross-validation, such as 5; each is held out in a training of its own.
        fold: the only one of the folds to train for, counted from 1.
        group_by: regular expression that finds the group of an image in its path; a group is never split.
        classes: classes to train on, in this order; the others are left out. By default all, sorted by name.
        train_share: share of the training images of each class to train on; a smaller share is part of a larger one.
        log: where the rows of the epochs go as well: jsonl (a file in the run), tensorboard, wandb, mlflow, trackio.
        checkpoint_every: steps between two checkpoints; by default one is written every five minutes.
        keep_every: epochs after which the weights are kept in a file of their own, epoch-0010.safetensors.

    Raises:
        ArgumentError: a value that is not allowed.
    """

    weights: str | None = None
    seed: int = 0
    dtype: Dtype = "float32"
    form: FormName = "c"
    shortcut: Shortcut | None = None
    remat: bool = False
    skip_bad: float = 0
    follow_links: bool = False
    held_out: float | None = None
    folds: int | None = None
    fold: int | None = None
    group_by: str | None = None
    classes: tuple[str, ...] = ()
    train_share: float | None = None
    log: tuple[LogKind, ...] = ()
    checkpoint_every: int | None = None
    keep_every: int | None = None

    def __repr__(self) -> str:
        return as_call(self)

    def __post_init__(self):
        if self.weights is not None:
            check_source(self.weights)
        check_dtype(self.dtype)
        if not 0 <= self.seed < 2**32:
            raise ArgumentError(f"`seed` must be from 0 to {2**32 - 1}. Received: {self.seed}")
        if isinstance(self.skip_bad, bool) or not 0 <= self.skip_bad < math.inf:
            raise ArgumentError(f"`skip_bad` must be a number of images, or a share below 1. Received: {self.skip_bad}")
        for name in ("checkpoint_every", "keep_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ArgumentError(f"`{name}` must be at least 1. Received: {value}")
        if self.train_share is not None and not 0 < self.train_share <= 1:
            raise ArgumentError(f"`train_share` must be above 0, at most 1. Received: {self.train_share}")
        if isinstance(self.classes, str) or len(self.classes) == 1 or len({*self.classes}) < len(self.classes):
            raise ArgumentError(f"`classes` must be two names or more, no two the same. Received: {self.classes}")
        object.__setattr__(self, "classes", tuple(self.classes))
        logs = (self.log,) if isinstance(self.log, str) else tuple(dict.fromkeys(self.log))
        if wrong := [kind for kind in logs if kind not in get_args(LogKind)]:
            raise ArgumentError(f"`log` must be among {', '.join(get_args(LogKind))}. Received: {wrong[0]!r}")
        object.__setattr__(self, "log", logs)
        for name, allowed in (("form", get_args(FormName)), ("shortcut", (None, *get_args(Shortcut)))):
            if getattr(self, name) not in allowed:
                words = ", ".join(word for word in allowed if word)
                raise ArgumentError(f"`{name}` must be one of {words}. Received: {getattr(self, name)!r}")
        fold = 1 if self.folds and self.fold is None else self.fold  # without one, all are trained
        Holdout(self.seed, self.held_out, self.folds, fold, self.group_by)

    def shaped(self, variant: Variant) -> Variant:
        """Return a network with the form and the shortcut of these options. Raises ArgumentError."""
        sliced, shortcut = variant.sliced or self.form == "sliced", self.shortcut or variant.shortcut
        return dataclasses.replace(variant, sliced=sliced, shortcut=shortcut)

    @property
    def draw(self) -> Holdout:
        """How the test images are drawn."""
        return Holdout(self.seed, self.held_out, self.folds, self.fold, self.group_by)


@dataclass(frozen=True)
class RunConfig:
    """The configuration of a run, and the versions with which it began."""

    variant: Variant
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    recipe: CompleteRecipe
    data: str
    options: TrainingOptions
    versions: dict[str, str]  # of this library, Keras and the backend, whose name is under "backend"
    labels: Labels = "one"  # of an image: one class, or any number of them

    def __post_init__(self):
        if self.labels not in get_args(Labels):
            raise ArgumentError(f"`labels` must be one of {', '.join(get_args(Labels))}. Received: {self.labels!r}")
        are_names = all(isinstance(name, str) and name for name in self.classes)
        if not (self.classes and are_names and len(set(self.classes)) == len(self.classes)):
            raise ArgumentError(f"`classes` must be one or more names, no two the same. Received: {self.classes}")

    def __repr__(self) -> str:
        return f"RunConfig({self.in_words})"

    @property
    def in_words(self) -> str:
        """The network, the size of its images, the number of classes, and the data."""
        return f"{self.variant.name} at {self.image_size} pixels, {counted(len(self.classes), 'class')} of {self.data}"

    def to_json(self) -> dict[str, Any]:
        """Return the document of `config.json`, in the types that JSON returns, with the options at the top level."""
        options = dataclasses.asdict(self.options)
        document = {
            "variant": _variant_to_json(self.variant),
            "classes": self.classes,
            "preprocessing": self.preprocessing.to_json(),
            "recipe": dataclasses.asdict(self.recipe),
            "data": self.data,
            "chosen_classes": options.pop("classes"),
            **options,
            "versions": self.versions,
            "labels": self.labels,
        }
        return json.loads(json.dumps(document))

    @property
    def several(self) -> bool:
        """Whether an image may have any number of the classes."""
        return self.labels == "several"

    @property
    def network(self) -> str:
        """The name of its network and of the form of its blocks, if that is not the usual one."""
        return network_name(self.variant, self.options.form)

    @property
    def image_size(self) -> int:
        """The side in pixels of the images in training."""
        return self.recipe.image_size or self.preprocessing.size

    @property
    def cost(self) -> Complexity:
        """The parameters of its network, and what one image of the training costs."""
        channels = self.preprocessing.channel_count
        return complexity(self.variant, (self.image_size, self.image_size, channels), len(self.classes))

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> RunConfig:
        """Return the configuration of a document. Raises ValueError, TypeError or KeyError if it is damaged."""
        rest = dict(document)
        classes, chosen = tuple(as_list(rest.pop("classes"))), tuple(as_list(rest.pop("chosen_classes", [])))
        names = [field.name for field in dataclasses.fields(TrainingOptions) if field.name in rest]
        options = {name: rest.pop(name) for name in names}  # a newer option has its default
        if rest.pop("tensorboard", False):  # of an earlier version
            options["log"] = ("tensorboard",)
        options = TrainingOptions(**options, classes=chosen)
        return cls(
            variant=_variant_from_json(rest.pop("variant")),
            classes=classes,
            preprocessing=Preprocessing.from_json(rest.pop("preprocessing")),
            recipe=CompleteRecipe.from_json(rest.pop("recipe")),
            options=options,
            **rest,
        )


def network_name(variant: Variant, form: FormName) -> str:
    """Return the full name of a network, with the form of its blocks if that is not c.

    Form b of a network whose paths see only their slice is the sliced form.

    >>> network_name(get_variant("resnext29_8x64d"), "a")
    'resnext29_8x64d-form-a'
    >>> network_name(get_variant("resnext50_wenga"), "b")
    'resnext50_wenga-form-sliced'
    """
    if form == "c":
        return full_name(variant)
    if not variant.sliced or form == "a":
        return f"{full_name(variant)}-form-{form}"
    named = variant if variant.lineage else dataclasses.replace(variant, sliced=False)
    return f"{full_name(named)}-form-sliced"


def changes(before: RunConfig, **now: Variant | Recipe | TrainingOptions | None) -> list[str]:
    """Return "NAME: OLD, not NEW" for each value that differs; recipe and options are compared field by field.

    Args:
        before: configuration of a run.
        now: expected `variant`, `recipe` and `options`; None is not compared.
    """
    found = []
    for name, value in now.items():
        old = getattr(before, name)
        if isinstance(value, Recipe | TrainingOptions):
            words = {"name": "recipe"}  # as the option is called
            fields = dataclasses.fields(value)
            pairs = [(words.get(f.name, f.name), getattr(old, f.name), getattr(value, f.name)) for f in fields]
        elif isinstance(value, Variant):
            pairs = [(name, old.name, value.name)] if old.name != value.name else [(name, old, value)]
        else:
            pairs = []
        found += [f"{field}: {a!r}, not {b!r}" for field, a, b in pairs if a != b]
    return found


def as_list(value: object) -> list:
    """Return a list unchanged. Raises ValueError for a string, which is a sequence as well."""
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is not a list")
    return value


def _variant_to_json(variant: Variant) -> str | dict[str, Any]:
    """Return its name if that determines everything, else its fields."""
    try:
        named = get_variant(variant.name)
    except ValueError:
        named = None
    return variant.name if named == variant else dataclasses.asdict(variant)


def _variant_from_json(document: object) -> Variant:
    if isinstance(document, dict):
        return Variant.from_json(document)
    return get_variant(document)  # type: ignore[arg-type]
