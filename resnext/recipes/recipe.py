"""A recipe: how a network is trained, as plain values. No Keras."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from resnext.errors import ArgumentError
from resnext.images.preprocessing import MEAN, STD, Preprocessing

# The floating-point dtype policies of Keras.
Dtype = Literal["float32", "mixed_bfloat16", "mixed_float16", "bfloat16", "float16", "float64"]
DTYPES = get_args(Dtype)
Optimizer = Literal["sgd", "adamw", "lamb"]
Schedule = Literal["cosine", "steps"]
Loss = Literal["cross-entropy", "binary"]
Crop = Literal["centre", "sized", "resized"]
Interpolation = Literal["bilinear", "bicubic"]
CIFAR10_MEAN = (0.4914, 0.4824, 0.4467)  # 125.3, 123.0, 113.9 of 255 (the Torch code's datasets/cifar10.lua)
CIFAR10_STD = (0.2471, 0.2435, 0.2616)


def check_dtype(dtype: str) -> None:
    """Raise ValueError for what is not one of DTYPES."""
    if dtype not in DTYPES:
        raise ArgumentError(f"`dtype` must be one of {', '.join(DTYPES)}. Received: {dtype!r}")


@dataclass(frozen=True)
class Recipe:
    """One way to train: sizes, schedule, optimizer, loss, augmentation. Shares and probabilities are from 0 to 1.

    Args:
        name: under which `get_recipe` finds it.
        epochs: passes over the training images.
        batch_size: images in a step of the optimizer.
        image_size: side in pixels of what the network is trained on; None: the variant's published size.
        test_size: side in pixels of what it is judged on; None: as trained.
        test_crop: share of the shorter side that the centre crop keeps in judging: 0.875 resizes to 256 for 224.
        interpolation: in training and judging.
        mean: of the three channels, on the scale 0..1, to normalise with; the colour that fills what is left empty.
        std: of the three channels.
        learning_rate: the highest, after the warm-up.
        schedule: from there on half a cosine, or steps.
        final_rate: learning rate at the end of the cosine.
        steps: for steps: pairs of a share of the epochs and the factor on the learning rate from there on.
        warmup_epochs: of them the learning rate rises in a line; of a short training at most half.
        warmup_start: share of the learning rate that the warm-up starts with.
        optimizer: PyTorch's and Torch's SGD; AdamW (without decay it is Adam); LAMB (You et al. 2019).
        momentum: of SGD.
        nesterov: of SGD.
        weight_decay: as the optimizer's authors define it: in SGD it is part of the gradient.
        decay_all: decay batch norm and biases, too.
        accumulate: parts of a batch that are computed one after the other, which takes less memory.
        clip_norm: highest norm of all gradients together; None: any.
        ema: momentum of the average of the weights over the steps, which is judged and kept as the best; 0: none.
        drop_path: of the last block; lower before, linearly.
        zero_gamma: start every block as the identity: the scale of its last batch norm begins at 0.
        loss: cross-entropy over the classes, or binary for each class, with every class of a mixed image at 1.
        label_smoothing: share of the target that all classes share.
        mixup: alpha of its beta distribution; 0: none. With cutmix, a batch gets one or the other, equally often.
        cutmix: alpha of its beta distribution; 0: none.
        crop: the whole centre; or a box of random area and aspect, as Torch's code has it (sized), or torchvision's
            (resized).
        crop_area: lowest and highest share of the image's area in such a box.
        pad: pad-and-crop: shift by up to this share of the side, any way.
        flip: mirror half of the images.
        color_jitter: strength of changes in brightness, contrast and saturation; 0: none.
        lighting: deviation of AlexNet's changes along the principal colours; 0: none.
        rand_augment: magnitude from 0 to 10 of two random operations (timm's increasing ones); 0: none.
        trivial_augment: one random operation of random strength (torchvision's wide ones).
        erasing: probability of erasing a random rectangle.
        repeats: times that an image comes in an epoch, which then has so many fewer images (Hoffer et al. 2020).
        freeze: stages that stay as they were loaded: 1 is the stem.
        layer_decay: factor on the learning rate from one stage to the one before; the head has it whole.

    Raises:
        ValueError: a value that is not allowed.
    """

    name: str
    epochs: int
    batch_size: int
    learning_rate: float
    image_size: int | None = None
    test_size: int | None = None
    test_crop: float = 1.0
    interpolation: Interpolation = "bilinear"
    mean: tuple[float, float, float] = MEAN
    std: tuple[float, float, float] = STD
    schedule: Schedule = "cosine"
    final_rate: float = 0.0
    steps: tuple[tuple[float, float], ...] = ()
    warmup_epochs: int = 0
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
    color_jitter: float = 0.0
    lighting: float = 0.0
    rand_augment: float = 0.0
    trivial_augment: bool = False
    erasing: float = 0.0
    repeats: int = 1
    freeze: tuple[int, ...] = ()
    layer_decay: float = 1.0

    def __post_init__(self):
        for fields, allowed, is_allowed in _RULES:
            for field in fields.split():
                value = getattr(self, field)
                try:
                    right = is_allowed(value)
                except (TypeError, ValueError):
                    right = False
                if not right:
                    raise ArgumentError(f"`{field}` must be {allowed}. Received: {value}")
        if self.batch_size % self.accumulate:
            raise ArgumentError(
                f"`accumulate` must divide the batch size, {self.batch_size}, into equal parts. "
                f"Received: {self.accumulate}"
            )
        if (self.schedule == "steps") != bool(self.steps):
            raise ArgumentError(
                "`steps` belong to the schedule 'steps', which needs at least one. "
                f"Received: {self.steps} with {self.schedule!r}"
            )
        if self.schedule == "steps" and self.warmup_epochs:
            raise ArgumentError(f"`warmup_epochs` belong to the schedule 'cosine'. Received: {self.warmup_epochs}")

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Recipe":
        """The inverse of `dataclasses.asdict`, also where JSON has made lists of the tuples."""
        values: dict[str, Any] = {key: _tuples(value) for key, value in document.items()}
        return cls(**values)


def changed(recipe: Recipe) -> dict[str, object]:
    """What a recipe does that the simplest one would not: its fields without those that have their defaults."""
    defaults = {field.name: field.default for field in dataclasses.fields(recipe)} | {"name": recipe.name}
    return {name: value for name, value in dataclasses.asdict(recipe).items() if value != defaults[name]}


def evaluation_preprocessing(recipe: Recipe) -> Preprocessing:
    """What a recipe with a size judges on, and what belongs to the weights that it makes."""
    size = recipe.test_size or recipe.image_size or 0
    return Preprocessing(size, round(size / recipe.test_crop), recipe.interpolation, recipe.mean, recipe.std)


def training_preprocessing(recipe: Recipe) -> Preprocessing:
    """The squares that a recipe with a size trains on, where it takes no random box."""
    size = recipe.image_size or 0
    return Preprocessing(size, size, recipe.interpolation, recipe.mean, recipe.std)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


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


# Fields, what is allowed in words, and as a function; so that NaN, neither below nor above anything, is refused too.
_RULES: list[tuple[str, str, Callable[[Any], bool]]] = [
    ("name", "a text", lambda value: isinstance(value, str)),
    ("epochs batch_size accumulate repeats", "a whole number, at least 1", lambda n: _is_whole(n) and n >= 1),
    ("warmup_epochs", "a whole number, at least 0", lambda n: _is_whole(n) and n >= 0),
    ("image_size test_size", "a whole number, at least 1, or None", lambda n: n is None or (_is_whole(n) and n >= 1)),
    (
        "weight_decay final_rate mixup cutmix pad color_jitter lighting",
        "finite and at least 0",
        lambda value: 0 <= value < math.inf,
    ),
    ("learning_rate", "finite and above 0", lambda value: 0 < value < math.inf),
    ("clip_norm", "finite and above 0, or None", lambda value: value is None or 0 < value < math.inf),
    ("momentum ema label_smoothing drop_path", "at least 0 and below 1", lambda value: 0 <= value < 1),
    ("warmup_start erasing", "from 0 to 1", lambda value: 0 <= value <= 1),
    ("test_crop layer_decay", "above 0, at most 1", lambda value: 0 < value <= 1),
    ("rand_augment", "from 0 to 10", lambda value: 0 <= value <= 10),
    ("crop_area", "two shares, above 0, rising, at most 1", _is_range),
    ("steps", "pairs of a share between 0 and 1, rising, and a factor", _are_steps),
    ("freeze", "different stages, from 1", _are_stages),
    ("flip nesterov decay_all trivial_augment zero_gamma", "True or False", lambda value: isinstance(value, bool)),
    ("optimizer", *_one_of(Optimizer)),
    ("schedule", *_one_of(Schedule)),
    ("loss", *_one_of(Loss)),
    ("crop", *_one_of(Crop)),
    ("interpolation", *_one_of(Interpolation)),
]  # fmt: skip


class Published(NamedTuple):
    """A run that a recipe is known for."""

    variant: str
    data: str
    top1_error: float | None  # %
    source: str
