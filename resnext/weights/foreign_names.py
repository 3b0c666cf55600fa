"""Other libraries' names for a network's weights and their axis order: one table for each, read in both directions.

resnext's files store `stem_conv/kernel` as (height, width, input, output), as in Keras; torchvision and timm store
`conv1.weight` as (output, input, height, width). Files of the first SE networks and of two older Keras libraries have
their own names.
"""

import functools
import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from resnext.variants.departures import PAPER
from resnext.variants.layer_table import block_name, block_of
from resnext.variants.variant import Attention, Variant

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]

# Facts that shapes do not reveal, or not always.
UNTRACED = ("shortcut", "stem_pool", "anti_aliasing", "activation", "lineage")
HEAD = ("predictions/kernel", "predictions/bias")
COUNTER = "num_batches_tracked"  # PyTorch's count of steps: files keep it, networks do not use it
TORCH_WEIGHTS = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    COUNTER: COUNTER,
}
NORM_WEIGHTS = ("gamma", "beta", "moving_mean", "moving_variance", COUNTER)


class Location(NamedTuple):
    """Where one of resnext's weights is in a file."""

    names: tuple[str, ...]  # of one tensor, or of one for each path
    shape: Shape  # of resnext's weight
    build: Callable[..., np.ndarray]  # those tensors -> resnext's weight


@dataclass(frozen=True)
class Layout:
    """The names that a library gives to a network's layers; `{s}` is a stage's number, `{b}` a block's.

    Args:
        rows: resnext's and the library's name of each layer; if the library has two, the first is written.
        first_stage: the library's number for resnext's stage 2.
        first_block: the library's number for resnext's block 1.
        torch: weights have names and axes as in PyTorch, else as in Keras.
        epsilon: epsilon of the library's batch norm.
        averaged_shortcut: the shortcut is of type D.
    """

    rows: tuple[tuple[str, str], ...]
    first_stage: int = 2
    first_block: int = 1
    torch: bool = False
    epsilon: float = PAPER.epsilon
    averaged_shortcut: bool = False

    def their_name(self, name: str) -> str:
        """Translate one of resnext's weight names to the library's; return unknown names unchanged."""
        layer, _, weight = name.rpartition("/")
        theirs = _translate(layer, self.rows, self.first_stage - 2, self.first_block - 1)
        if theirs is None or weight not in TORCH_WEIGHTS:
            return name
        return f"{theirs}.{TORCH_WEIGHTS[weight]}" if self.torch else f"{theirs}/{weight}"

    def our_name(self, name: str) -> str:
        """Translate one of the library's weight names to resnext's; return unknown names unchanged."""
        layer, _, weight = name.rpartition("." if self.torch else "/")
        rows = tuple((theirs, ours) for ours, theirs in self.rows)
        ours = _translate(layer, rows, 2 - self.first_stage, 1 - self.first_block)
        if ours is None:
            return name
        if self.torch:
            candidates = NORM_WEIGHTS if ours.endswith("_norm") else ("kernel", "bias")
            weight = next((word for word in candidates if TORCH_WEIGHTS[word] == weight), None)
        return f"{ours}/{weight.removeprefix('depthwise_')}" if weight else name


OURS = Layout(())
# https://github.com/keras-team/keras-applications, resnet_common.py, block3; tf.keras renamed the head
KERAS_APPLICATIONS = Layout(
    (
        ("stem_conv", "conv1_conv"),
        ("stem_norm", "conv1_bn"),
        ("stage{s}_block{b}_transform_1x1_conv", "conv{s}_block{b}_1_conv"),
        ("stage{s}_block{b}_transform_1x1_norm", "conv{s}_block{b}_1_bn"),
        ("stage{s}_block{b}_transform_3x3_conv", "conv{s}_block{b}_2_conv"),
        ("stage{s}_block{b}_transform_3x3_norm", "conv{s}_block{b}_2_bn"),
        ("stage{s}_block{b}_transition_conv", "conv{s}_block{b}_3_conv"),
        ("stage{s}_block{b}_transition_norm", "conv{s}_block{b}_3_bn"),
        ("stage{s}_block{b}_shortcut_conv", "conv{s}_block{b}_0_conv"),
        ("stage{s}_block{b}_shortcut_norm", "conv{s}_block{b}_0_bn"),
        ("predictions", "probs"),
        ("predictions", "predictions"),
    ),
    epsilon=1.001e-5,
)
# https://github.com/qubvel/classification_models, models/resnext.py; the 3x3 of each path is a separate layer with a
# running number
QUBVEL = Layout(
    (
        ("stem_conv", "conv0"),
        ("stem_norm", "bn0"),
        ("stage{s}_block{b}_transform_1x1_conv", "stage{s}_unit{b}_conv1"),
        ("stage{s}_block{b}_transform_1x1_norm", "stage{s}_unit{b}_bn1"),
        ("stage{s}_block{b}_transform_3x3_norm", "stage{s}_unit{b}_bn2"),
        ("stage{s}_block{b}_transition_conv", "stage{s}_unit{b}_conv3"),
        ("stage{s}_block{b}_transition_norm", "stage{s}_unit{b}_bn3"),
        ("stage{s}_block{b}_shortcut_conv", "stage{s}_unit{b}_sc"),
        ("stage{s}_block{b}_shortcut_norm", "stage{s}_unit{b}_sc_bn"),
        ("predictions", "fc1"),
    ),
    first_stage=1,
    epsilon=2e-5,
)
QUBVEL_PATHS = 32
_QUBVEL_3X3 = re.compile(r"conv2d(?:_([0-9]{1,6}))?/kernel")
QUBVEL_IMAGES = "bn_data"  # normalises the images: see `qubvel_normalisation`


def torch_layout(deep_stem: bool, bottleneck: bool, averaged_shortcut: bool, legacy: bool = False) -> Layout:
    """Return torchvision's and timm's names, or those of the first SE networks (Cadene's, timm's `legacy_`)."""
    stem, excitation, head = ("layer0.", "se_module", "last_linear") if legacy else ("", "se", "fc")
    ours, theirs = "stage{s}_block{b}_", "layer{s}.{b}."
    if deep_stem:
        rows = [("stem_1_conv", "conv1.0"), ("stem_1_norm", "conv1.1"), ("stem_2_conv", "conv1.3")]
        rows += [("stem_2_norm", "conv1.4"), ("stem_3_conv", "conv1.6"), ("stem_3_norm", "bn1")]
    else:
        rows = [("stem_conv", f"{stem}conv1"), ("stem_norm", f"{stem}bn1")]
    parts = ["transform_1x1", "transform_3x3", "transition"] if bottleneck else ["transform_3x3", "transition"]
    for number, part in enumerate(parts, 1):
        rows += [(f"{ours}{part}_conv", f"{theirs}conv{number}"), (f"{ours}{part}_norm", f"{theirs}bn{number}")]
    first = 1 if averaged_shortcut else 0  # after the pool
    rows += [(f"{ours}shortcut_conv", f"{theirs}downsample.{first}")]
    rows += [(f"{ours}shortcut_norm", f"{theirs}downsample.{first + 1}")]
    rows += [(f"{ours}excitation_{i}_conv", f"{theirs}{excitation}.fc{i}") for i in (1, 2)]
    rows += [(f"{ours}eca_conv", f"{theirs}se.conv"), ("predictions", head)]
    return Layout(tuple(rows), first_stage=1, first_block=0, torch=True, averaged_shortcut=averaged_shortcut)


def layout_of_variant(variant: Variant) -> Layout:
    """Return torchvision's and timm's layout for a network."""
    return torch_layout(
        deep_stem=len(variant.stem_channels) == 3,
        bottleneck=variant.block == "bottleneck",
        averaged_shortcut=variant.shortcut == "D",
        legacy=variant.stem_pool == "ceil",
    )


def layout_of_file(shapes: Shapes) -> Layout | None:
    """Return the layout of a file, found by its tensors' names and shapes; None if no known network has them."""
    if "stem_norm/gamma" in shapes or "stem_3_norm/gamma" in shapes:
        return OURS
    if "conv1_bn/gamma" in shapes:
        return KERAS_APPLICATIONS
    if "bn0/gamma" in shapes:
        return QUBVEL
    if "layer0.bn1.weight" in shapes:
        return torch_layout(deep_stem=False, bottleneck=True, averaged_shortcut=False, legacy=True)
    if "bn1.weight" in shapes:
        return torch_layout(
            deep_stem="conv1.0.weight" in shapes,
            bottleneck="layer1.0.conv3.weight" in shapes,
            averaged_shortcut=len(shapes.get("layer2.0.downsample.1.weight", ())) == 4,
        )
    return None


def locate(shapes: Shapes, layout: Layout) -> dict[str, Location]:
    """Return where resnext's weights are in a file. A tensor without a name in resnext keeps its own."""
    found: dict[str, Location] = {}
    for name, shape in shapes.items():
        ours = layout.our_name(name)
        if not _says_nothing(name, layout):
            found[name if ours in found else ours] = _place(ours, name, shape, layout)
    return _with_paths_joined(found) if layout is QUBVEL else found


def to_torch(weights: Mapping[str, np.ndarray], variant: Variant) -> dict[str, np.ndarray]:
    """Return weights under the names and in the axis order of torchvision and timm.

    >>> from resnext.variants.names import get_variant
    >>> list(to_torch({"predictions/bias": np.zeros(3)}, get_variant("resnext14_2x4d")))
    ['fc.bias']
    """
    layout = layout_of_variant(variant)
    return {
        layout.their_name(name): np.asarray(array.transpose(_torch_axes(array.ndim)), order="C")
        for name, array in weights.items()
    }


def their_shape(shape: Shape, layout: Layout) -> Shape:
    """Return the shape in the file: PyTorch has (output, input, height, width) for (height, width, input, output)."""
    return tuple(shape[axis] for axis in _torch_axes(len(shape))) if layout.torch else shape


def find_variant(shapes: Shapes, layout: Layout) -> Variant | None:
    """Return the network whose weights have these names (resnext's) and shapes; None if there is none.

    Anti-aliasing, dilation and activation, which weights do not reveal, are assumed to be as in the plain network.
    resnext's names do not reveal an averaged shortcut either: it is assumed with a deep stem, as in `resnext50d_32x4d`.
    """
    blocks = [0, 0, 0, 0]
    for name in shapes:
        if block := block_of(name):
            stage, number = block
            blocks[stage - 2] = max(blocks[stage - 2], number)
    stem = [
        shapes[name] for name in ("stem_conv/kernel", *(f"stem_{i}_conv/kernel" for i in (1, 2, 3))) if name in shapes
    ]
    first = block_name(2, 1)
    grouped = shapes.get(f"{first}_transform_3x3_conv/kernel", ())
    if len(grouped) != 4 or min(grouped) < 1 or any(len(kernel) != 4 for kernel in stem):
        return None
    bottleneck = f"{first}_transform_1x1_conv/kernel" in shapes
    attentions: dict[Attention, str] = {"se": "excitation_1_conv", "eca": "eca_conv"}
    shortcut = "D" if layout.averaged_shortcut or (layout is OURS and len(stem) == 3) else "B"
    first_1x1 = shapes.get(f"{first}_transform_1x1_conv/kernel", ())
    sliced = len(first_1x1) == 4 and bool(stem) and first_1x1[2] < stem[-1][3]
    if "stage3_block1_shortcut_conv/kernel" not in shapes:
        shortcut = "A"
    elif any(name.endswith("_block2_shortcut_conv/kernel") for name in shapes):
        shortcut = "C"
    try:
        return Variant(
            tuple(number for number in blocks if number),
            cardinality=grouped[3] // grouped[2] if bottleneck else 1,
            bottleneck_width=grouped[2] if bottleneck else grouped[3],
            block="bottleneck" if bottleneck else "basic",
            stem_channels=tuple(kernel[3] for kernel in stem),
            stem_pool="ceil" if layout.their_name("stem_norm/gamma").startswith("layer0") else "padded",
            shortcut=shortcut,
            sliced=sliced,
            attention=next((a for a, sign in attentions.items() if f"{first}_{sign}/kernel" in shapes), None),
        )
    except ValueError:
        return None


def facts_of(variant: Variant) -> dict[str, Any]:
    """Return the facts that the shapes of a network's weights do not reveal."""
    return {fact: getattr(variant, fact) for fact in UNTRACED}


def stem_kernel_name(names: Container[str]) -> str:
    """Return the name of the first kernel of the stem."""
    return "stem_1_conv/kernel" if "stem_1_conv/kernel" in names else "stem_conv/kernel"


def qubvel_normalisation(beta: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> tuple[tuple, tuple]:
    """Return the mean and deviation, on the scale 0..1, with which images are normalised before such a network.

    It normalises them in its first layer, from 0..255: (x - mean) / deviation + beta.
    """
    deviation = np.sqrt(variance + QUBVEL.epsilon)
    return tuple(((mean - beta * deviation) / 255).tolist()), tuple((deviation / 255).tolist())


def _translate(layer: str, rows, stage_offset: int, block_offset: int) -> str | None:
    for source, target in rows:
        match = _pattern(source).fullmatch(layer)
        if match:
            stage, block = (int(match.groupdict().get(key, 0)) for key in ("s", "b"))
            return target.format(s=stage + stage_offset, b=block + block_offset)
    return None


@functools.cache
def _pattern(template: str) -> re.Pattern:
    numbers = re.escape(template).replace(r"\{s\}", "(?P<s>[1-5])").replace(r"\{b\}", r"(?P<b>0|[1-9][0-9]{0,2})")
    return re.compile(numbers)


def _says_nothing(name: str, layout: Layout) -> bool:
    """Return whether a tensor is not a weight: a constant, or part of the normalisation of images."""
    if layout is KERAS_APPLICATIONS:
        return name.endswith("_2_gconv/kernel")  # zeros and ones that sum the channels of a group
    return layout is QUBVEL and name.startswith(f"{QUBVEL_IMAGES}/")


def _place(ours: str, name: str, shape: Shape, layout: Layout) -> Location:
    if layout.torch:
        axes = _keras_axes(len(shape))
        return Location((name,), tuple(shape[axis] for axis in axes), lambda array: array.transpose(axes))
    if layout is KERAS_APPLICATIONS and name.endswith("/depthwise_kernel") and len(shape) == 4:
        height, width, channels, group_width = shape
        ours_shape = (height, width, group_width, channels)
        return Location((name,), ours_shape, lambda array: _grouped_kernel(array, group_width))
    if ours.endswith("/moving_variance") and layout.epsilon != PAPER.epsilon:
        # The same sum under the root of batch norm, with resnext's epsilon.
        return Location((name,), shape, lambda array: array + np.float32(layout.epsilon - PAPER.epsilon))
    return Location((name,), shape, lambda array: array)


def _grouped_kernel(depthwise: np.ndarray, group_width: int) -> np.ndarray:
    """Return the kernel of a grouped convolution from that of a depthwise one whose outputs are summed by group.

    Output m of input channel g * width + k contributes to output channel g * width + m of group g.
    """
    height, width, channels, _ = depthwise.shape
    parts = depthwise.reshape(height, width, channels // group_width, group_width, group_width)
    return parts.transpose(0, 1, 3, 2, 4).reshape(height, width, group_width, channels)


def _with_paths_joined(found: dict[str, Location]) -> dict[str, Location]:
    """Join qubvel's 3x3 of single paths, numbered through the network, into one kernel for each block."""
    paths = sorted((int(match[1] or 0), name) for name in found if (match := _QUBVEL_3X3.fullmatch(name)))
    norms = sorted(
        (int(match[1]), int(match[2]), name.replace("_norm/gamma", "_conv/kernel"))
        for name in found
        if (match := re.fullmatch(r"stage([2-5])_block(\d{1,3})_transform_3x3_norm/gamma", name))
    )
    if len(paths) != QUBVEL_PATHS * len(norms):
        return found
    for i, (_, _, kernel) in enumerate(norms):
        names = tuple(name for _, name in paths[i * QUBVEL_PATHS : (i + 1) * QUBVEL_PATHS])
        shapes = {found.pop(name).shape for name in names}
        shape = min(shapes)
        if len(shapes) == 1 and len(shape) == 4:
            shape = (*shape[:3], shape[3] * QUBVEL_PATHS)
        found[kernel] = Location(names, shape, lambda *arrays: np.concatenate(arrays, axis=-1))
    return found


def _keras_axes(rank: int) -> tuple[int, ...]:
    """Return the axes that turn PyTorch's (output, input, height, width) into (height, width, input, output)."""
    return (*range(2, rank), 1, 0) if rank > 1 else tuple(range(rank))


def _torch_axes(rank: int) -> tuple[int, ...]:
    """Return the axes of the transposition back."""
    return (rank - 1, rank - 2, *range(rank - 2)) if rank > 1 else tuple(range(rank))
