"""Recipes: the settings of a training as plain values, independent of Keras."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self, get_args

from resnext.errors import ArgumentError
from resnext.images.preprocessing import (
    CHANNELS_ALLOWED,
    MEAN,
    STD,
    Channels,
    Fit,
    Preprocessing,
    are_channels,
)
from resnext.keywords import as_call

# The floating-point dtype policies of Keras.
Dtype = Literal["float32", "mixed_bfloat16", "mixed_float16", "bfloat16", "float16", "float64"]
DTYPES = get_args(Dtype)
Optimizer = Literal["sgd", "adamw", "lamb", "lbfgs"]
Schedule = Literal["cosine", "cosine-from-start", "steps"]
Loss = Literal["cross-entropy", "binary"]
Crop = Literal["centre", "sized", "resized"]
Interpolation = Literal["bilinear", "bicubic"]
Sampling = Literal["uniform", "balanced"]
BestBy = Literal["top1", "macro_f1", "balanced_accuracy", "log_loss", "auc", "map", "micro_f1"]
CIFAR10_MEAN = (0.4914, 0.4824, 0.4467)  # 125.3, 123.0, 113.9 of 255 (the Torch code's datasets/cifar10.lua)
CIFAR10_STD = (0.2471, 0.2435, 0.2616)


def check_dtype(dtype: str) -> None:
    """Raise ValueError unless `dtype` is one of DTYPES."""
    if dtype not in DTYPES:
        raise ArgumentError(f"`dtype` must be one of {', '.join(DTYPES)}. Received: {dtype!r}")


@dataclass(frozen=True)
class Recipe:
    """The settings of a training: sizes, schedule, optimizer, loss, augmentation. Shares and probabilities are 0 to 1.

    If epochs, batch size, learning rate, warm-up or the evaluations are None, `train` chooses them by the number of
    images (see `resnext.recipes.complete`).

    Args:
        name: name under which `get_recipe` finds the recipe.
        epochs: passes over the training images; None: 20, or more on small sets.
        batch_size: images in one step of the optimizer; None: 8 to 128.
        learning_rate: highest learning rate, reached after the warm-up; None: by the batch size and the optimizer.
        evaluate_every: epochs between two evaluations; the last epoch is always evaluated. None: about 20 evaluations.
        image_size: side of the training images in pixels; None: the size of the pretrained weights, the published size
            of the chosen variant, or one that suits the images.
        test_size: side of the evaluation images in pixels; None: as in training.
        test_crop: share of the shorter side that the centre crop keeps in evaluation: 0.875 resizes to 256 for 224;
            squash and pad crop nothing.
        fit: how non-square images are handled, in training and evaluation: crop keeps a part; squash and pad keep the
            complete image, distorted or with bars of the mean colour.
        channels: rgb; grey for a network of one channel, to which every image is converted; or the number of channels,
            2 or 4 to 64, of arrays or of files with as many pages or bands. Weights for three channels are adapted.
        interpolation: interpolation of resized images, in training and evaluation.
        mean: means of the three channels (0..1) for normalising; this colour also fills empty areas.
        std: standard deviations of the three channels (0..1) for normalising.
        schedule: course of the learning rate after the warm-up: half a cosine; half a cosine over all epochs, whose
            beginning the warm-up replaces, as in timm; or steps.
        final_rate: learning rate at the end of the cosine.
        steps: pairs of a share of the epochs and the factor on the learning rate after it (schedule steps).
        warmup_epochs: epochs in which the learning rate rises linearly; at most half of a short training. None: a tenth
            of the epochs.
        warmup_start: share of the learning rate at which the warm-up starts.
        optimizer: SGD as in PyTorch and Torch; AdamW (without decay it is Adam); LAMB (You et al. 2019);
            or L-BFGS (lbfgs), which fits only the head, once, to the features of the unchanged images.
        momentum: momentum of SGD.
        nesterov: Nesterov momentum in SGD.
        weight_decay: weight decay as the optimizer's authors define it; in SGD it is part of the gradient.
        decay_all: weight decay for batch norm and biases as well.
        accumulate: parts of a batch that are computed one after another, which needs less memory.
        clip_norm: highest norm of all gradients together; None: no limit.
        ema: momentum of the average of the weights over the steps, which is evaluated and kept as the best; 0: none.
        drop_path: probability of dropping the last block; linearly lower for earlier blocks.
        zero_gamma: start of each block as the identity: the scale of its last batch norm begins at 0.
        loss: cross-entropy over the classes, or binary for each class with target 1 for every class of a mixed image.
        label_smoothing: share of the target that is distributed over all classes; of several labels, toward one half.
            With the binary loss of one label, whose targets are 0 and 1, it only moves the share from which a class of
            a mixed image counts, as in timm.
        mixup: alpha of its beta distribution; 0: none. With cutmix as well, each batch gets either one, equally often.
        cutmix: alpha of its beta distribution; 0: none.
        crop: complete centre, or box of random area and aspect ratio as in Torch (sized) or torchvision (resized).
        crop_area: lowest and highest share of the image's area in a random box.
        pad: largest shift of the image in any direction (pad-and-crop), as a share of the side.
        flip: mirroring of half of the images, left to right.
        vertical_flip: mirroring of half of the images, top to bottom.
        rotate: largest rotation to either side, from 0 to 180 degrees; empty corners get the mean colour. 0: none.
        color_jitter: strength of changes in brightness, contrast and saturation; 0: none.
        hue: largest shift of the hues to either side, from 0 to 0.5 turns of their circle (as in torchvision); 0: none.
        lighting: standard deviation of AlexNet's changes along the principal colours; 0: none.
        greyscale: probability of turning the image grey.
        blur: probability of a Gaussian blur, whose standard deviation is drawn from 0.1 to 2 pixels (as in SimCLR).
        rand_augment: magnitude from 0 to 10 of two random operations (timm's increasing ones); 0: none.
        trivial_augment: one random operation of random strength (with torchvision's wide ranges).
        erasing: probability of erasing a random rectangle.
        repeats: copies of each image per epoch, which covers proportionally fewer distinct images (Hoffer et al. 2020).
        focal: gamma of the focal loss, which weighs down images that are classified well already; 0: none, usual: 2.
        class_weights: power of the inverse frequency of a class that weighs the loss of its images, 0 to 1; 1 weighs
            all classes equally.
        sampling: how often an image is drawn in an epoch: each once (uniform), or each class equally often (balanced),
            so that images of small classes come several times.
        freeze: stages that keep their loaded weights; 1 is the stem.
        layer_decay: factor on the learning rate from each stage to the one before; the head has the full rate.
        best_by: metric of the validation images by which an epoch is the best; auc is for two classes.
        patience: evaluations in a row without a better one after which the training ends; None: it never ends early.
            Under a cosine, whose rates fall to the end, use half of the evaluations or more.

    Raises:
        ArgumentError: a value is not allowed.
    """

    name: str
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    evaluate_every: int | None = 1
    image_size: int | None = None
    test_size: int | None = None
    test_crop: float = 1.0
    fit: Fit = "crop"
    channels: Channels = "rgb"
    interpolation: Interpolation = "bilinear"
    mean: tuple[float, float, float] = MEAN
    std: tuple[float, float, float] = STD
    schedule: Schedule = "cosine"
    final_rate: float = 0.0
    steps: tuple[tuple[float, float], ...] = ()
    warmup_epochs: int | None = 0
    warmup_start: float = 0.0
    optimizer: Optimizer = "sgd"
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 0.0
    decay_all: bool = False
    accumulate: int = 1
    clip_norm: float | None = None
    ema: float = 0.0
    drop_path: float = 0.0
    zero_gamma: bool = False
    loss: Loss = "cross-entropy"
    label_smoothing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    crop: Crop = "centre"
    crop_area: tuple[float, float] = (0.08, 1.0)
    pad: float = 0.0
    flip: bool = True
    vertical_flip: bool = False
    rotate: float = 0.0
    color_jitter: float = 0.0
    hue: float = 0.0
    lighting: float = 0.0
    greyscale: float = 0.0
    blur: float = 0.0
    rand_augment: float = 0.0
    trivial_augment: bool = False
    erasing: float = 0.0
    repeats: int = 1
    focal: float = 0.0
    class_weights: float = 0.0
    sampling: Sampling = "uniform"
    freeze: tuple[int, ...] = ()
    layer_decay: float = 1.0
    best_by: BestBy = "top1"
    patience: int | None = None

    def __repr__(self) -> str:
        return as_call(self)

    def __post_init__(self):
        for fields, allowed, is_allowed in _RULES:
            for field in fields.split():
                value = getattr(self, field)
                try:
                    is_valid = is_allowed(value)
                except (TypeError, ValueError):
                    is_valid = False
                if not is_valid:
                    raise ArgumentError(f"`{field}` must be {allowed}. Received: {value}")
        _preprocessing(self, 1, 1)  # which checks the mean and the standard deviation
        if self.batch_size and self.batch_size % self.accumulate:
            raise ArgumentError(
                f"`accumulate` must divide the batch size, {self.batch_size}, into equal parts. "
                f"Received: {self.accumulate}"
            )
        if self.class_weights and self.sampling == "balanced":
            raise ArgumentError(
                "`class_weights` and `sampling` 'balanced' both make up for an imbalance. Pass one of them. "
                f"Received: {self.class_weights} and {self.sampling!r}"
            )
        if self.sampling == "balanced" and self.repeats > 1:
            raise ArgumentError(
                "`sampling` 'balanced' draws images several times already. Leave `repeats` out. "
                f"Received: {self.repeats}"
            )
        if isinstance(self.channels, int) and (colours := [name for name in _OF_COLOURS if getattr(self, name)]):
            raise ArgumentError(
                f"{self.channels} channels are not the three colours that {' and '.join(colours)} change. Set "
                f"{'it' if len(colours) == 1 else 'them'} to 0"
            )
        if self.optimizer == "lbfgs" and (unused := _unused_by_lbfgs(self)):
            raise ArgumentError(
                "`optimizer` 'lbfgs' fits the head once, to the features of unchanged images. Leave out what belongs "
                f"to other trainings, or pass the recipe probe. Received: {', '.join(unused)}"
            )
        if (self.schedule == "steps") != bool(self.steps):
            raise ArgumentError(
                "`steps` belong to the schedule 'steps', which needs at least one. "
                f"Received: {self.steps} with {self.schedule!r}"
            )
        if self.schedule == "steps" and self.warmup_epochs:
            raise ArgumentError(f"`warmup_epochs` belong to the schedule 'cosine'. Received: {self.warmup_epochs}")

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Invert `dataclasses.asdict`, also if JSON has turned the tuples into lists."""
        values: dict[str, Any] = {key: _tuples(value) for key, value in document.items()}
        return cls(**values)


def changed(recipe: Recipe) -> dict[str, object]:
    """Return the fields of a recipe that differ from their defaults, without its name."""
    defaults = {field.name: field.default for field in dataclasses.fields(recipe)} | {"name": recipe.name}
    return {name: value for name, value in dataclasses.asdict(recipe).items() if value != defaults[name]}


def evaluation_preprocessing(recipe: Recipe) -> Preprocessing:
    """Return the preprocessing for evaluation, which belongs to the trained weights; the recipe must have a size."""
    size = recipe.test_size or recipe.image_size or 0
    return _preprocessing(recipe, size, round(size / recipe.test_crop) if recipe.fit == "crop" else size)


def training_preprocessing(recipe: Recipe) -> Preprocessing:
    """Return the preprocessing for training without random boxes; the recipe must have a size."""
    size = recipe.image_size or 0
    return _preprocessing(recipe, size, size)


def _preprocessing(recipe: Recipe, size: int, resize: int) -> Preprocessing:
    return Preprocessing(size, resize, recipe.interpolation, recipe.mean, recipe.std, recipe.fit, recipe.channels)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _unused_by_lbfgs(recipe: Recipe) -> list[str]:
    """Return the fields of a recipe, with their values, that mean nothing if only the head is fitted, once."""
    neutral: dict[str, object] = {"crop": "centre", "sampling": "uniform", "loss": "cross-entropy"}
    neutral |= dict.fromkeys(("accumulate", "repeats"), 1)
    neutral |= dict.fromkeys(_CHANGES, 0)
    found = [name for name, value in neutral.items() if (getattr(recipe, name) or 0) != value]
    epochs = ["epochs"] if recipe.epochs not in (None, 1) else []
    return [f"{name} {getattr(recipe, name)}" for name in (*epochs, *found)]


# Fields that are 0 or False if a recipe changes nothing in the images, the targets or the network.
_CHANGES = (
    "label_smoothing", "mixup", "cutmix", "pad", "flip", "vertical_flip", "rotate", "color_jitter", "hue", "lighting",
    "greyscale", "blur", "rand_augment", "trivial_augment", "erasing", "focal", "ema", "drop_path", "zero_gamma",
    "warmup_epochs", "patience", "clip_norm", "weight_decay",
)  # fmt: skip


# Changes to red, green and blue, which images of other channels do not have.
_OF_COLOURS = ("color_jitter", "hue", "lighting", "greyscale", "rand_augment", "trivial_augment")


def _is_whole(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _are_steps(steps) -> bool:
    shares = [share for share, _ in steps]
    return (
        isinstance(steps, tuple)
        and all(0 < share < 1 and 0 <= factor < math.inf for share, factor in steps)
        and sorted(set(shares)) == shares
    )


def _is_range(shares) -> bool:
    lowest, highest = shares
    return 0 < lowest <= highest <= 1


def _are_stages(stages) -> bool:
    return isinstance(stages, tuple) and len({*stages}) == len(stages) and all(_is_whole(s) and s >= 1 for s in stages)


def _one_of(literal) -> tuple[str, Callable[[Any], bool]]:
    return f"one of {', '.join(get_args(literal))}", lambda value: value in get_args(literal)


# Fields, the allowed values in words, and a function that accepts them. NaN fails every comparison, so it is refused.
_RULES: list[tuple[str, str, Callable[[Any], bool]]] = [
    ("name", "a string", lambda value: isinstance(value, str)),
    ("accumulate repeats", "a whole number, at least 1", lambda n: _is_whole(n) and n >= 1),
    (
        "epochs evaluate_every batch_size patience",
        "a whole number, at least 1",
        lambda n: n is None or (_is_whole(n) and n >= 1),
    ),
    ("warmup_epochs", "a whole number, at least 0", lambda n: n is None or (_is_whole(n) and n >= 0)),
    ("image_size test_size", "a whole number, at least 1, or None", lambda n: n is None or (_is_whole(n) and n >= 1)),
    (
        "weight_decay final_rate mixup cutmix pad color_jitter lighting focal",
        "finite and at least 0",
        lambda value: 0 <= value < math.inf,
    ),
    ("learning_rate", "finite and above 0", lambda value: value is None or 0 < value < math.inf),
    ("clip_norm", "finite and above 0, or None", lambda value: value is None or 0 < value < math.inf),
    ("momentum ema label_smoothing drop_path", "at least 0 and below 1", lambda value: 0 <= value < 1),
    ("warmup_start erasing greyscale blur class_weights", "from 0 to 1", lambda value: 0 <= value <= 1),
    ("test_crop layer_decay", "above 0, at most 1", lambda value: 0 < value <= 1),
    ("rand_augment", "from 0 to 10", lambda value: 0 <= value <= 10),
    ("rotate", "from 0 to 180", lambda value: 0 <= value <= 180),
    ("hue", "from 0 to 0.5", lambda value: 0 <= value <= 0.5),
    ("crop_area", "two shares in ascending order, above 0, at most 1", _is_range),
    ("steps", "pairs of a share between 0 and 1, in ascending order, and a factor", _are_steps),
    ("freeze", "distinct stages, numbered from 1", _are_stages),
    (
        "flip vertical_flip nesterov decay_all trivial_augment zero_gamma",
        "True or False",
        lambda value: isinstance(value, bool),
    ),
    ("optimizer", *_one_of(Optimizer)),
    ("schedule", *_one_of(Schedule)),
    ("loss", *_one_of(Loss)),
    ("crop", *_one_of(Crop)),
    ("fit", *_one_of(Fit)),
    ("channels", CHANNELS_ALLOWED, are_channels),
    ("interpolation", *_one_of(Interpolation)),
    ("sampling", *_one_of(Sampling)),
    ("best_by", *_one_of(BestBy)),
]


class Published(NamedTuple):
    """A published run with a recipe."""

    variant: str
    data: str
    top1_error: float | None  # %
    source: str
