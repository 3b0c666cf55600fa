"""What a ResNeXt is: its blocks, its cardinality C and its bottleneck width d. Facts only, no Keras here.

Source: Xie et al. 2017, "Aggregated Residual Transformations for Deep Neural Networks"
(https://arxiv.org/abs/1611.05431), Table 1 for the template, section 5.2 for the CIFAR networks.
"""

import difflib
import fnmatch
import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

# Bottleneck blocks a stage: Table 1 for 50, section 5.1 for 101; He et al. 2016, Table 1 for 152; one and two
# blocks a stage for 14 and 26, the smallest networks of the same template.
IMAGENET_BLOCKS = {
    14: (1, 1, 1, 1),
    26: (2, 2, 2, 2),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
STEM_CHANNELS = 64
FIRST_STAGE_CHANNELS = 256  # doubled at every stage after it, like every width (Table 1)

NAME_FORM = "resnext{depth}_{cardinality}x{bottleneck width}d, for example resnext50_32x4d"
DEPTHS = "14, 26, 50, 101 or 152 (ImageNet stem), or 9n+2: 11, 20, 29, 38, ... (CIFAR stem)"

Shortcut = Literal["A", "B", "C"]


class Stage(NamedTuple):
    """One residual stage: the paper's conv2 to conv5 have the numbers 2 to 5."""

    number: int
    blocks: int
    group_width: int  # channels of one path: d, doubled at every stage
    channels: int  # channels that a block takes and gives
    strides: int  # of the 3x3 of the first block


@dataclass(frozen=True)
class Variant:
    """What the network is; everything else, its name included, is derived.

    Args:
        blocks: bottleneck blocks in each stage; four stages take the ImageNet stem, three the CIFAR stem.
        cardinality: C, the number of parallel paths in a block; 1 is a ResNet.
        bottleneck_width: d, the channels of one path in stage 2.
        shortcut: where shapes change, A pads with zero channels and B projects; C projects in every block
            (He et al. 2016, section 4.1). The paper uses B.
        last_gamma: initial scale of the last batch norm of a block; 0 starts every block as the identity
            (Goyal et al. 2017, section 5.1).

    Raises:
        ValueError: a number below 1, a number of stages other than 3 or 4, or an unknown shortcut.

    >>> Variant(blocks=(3, 4, 6, 3), cardinality=32, bottleneck_width=4).name
    'resnext50_32x4d'
    """

    blocks: tuple[int, ...]
    cardinality: int
    bottleneck_width: int
    shortcut: Shortcut = "B"
    last_gamma: float = 1.0

    def __post_init__(self):
        if len(self.blocks) not in (3, 4):
            raise ValueError(f"`blocks` must name 3 stages (CIFAR) or 4 (ImageNet). Received: {self.blocks}")
        if min(*self.blocks, self.cardinality, self.bottleneck_width) < 1:
            raise ValueError(
                "`blocks`, `cardinality` and `bottleneck_width` must be at least 1. Received: "
                f"{self.blocks}, {self.cardinality}, {self.bottleneck_width}"
            )
        if self.shortcut not in ("A", "B", "C"):
            raise ValueError(f"`shortcut` must be 'A', 'B' or 'C'. Received: {self.shortcut!r}")

    @property
    def depth(self) -> int:
        """Layers with weights on the longest path: three a block, the stem's and the classifier's."""
        return 3 * sum(self.blocks) + 2

    @property
    def name(self) -> str:
        return f"resnext{self.depth}_{self.cardinality}x{self.bottleneck_width}d"

    @property
    def stem(self) -> Literal["imagenet", "cifar"]:
        return "imagenet" if len(self.blocks) == 4 else "cifar"

    @property
    def image_size(self) -> int:
        """Side in pixels of the images that the published networks were trained on."""
        return 224 if self.stem == "imagenet" else 32

    @property
    def stages(self) -> tuple[Stage, ...]:
        return tuple(
            Stage(
                number=i + 2,
                blocks=blocks,
                group_width=self.bottleneck_width * 2**i,
                channels=FIRST_STAGE_CHANNELS * 2**i,
                strides=1 if i == 0 else 2,
            )
            for i, blocks in enumerate(self.blocks)
        )


class PublishedError(NamedTuple):
    """A test error in %, as its source gives it."""

    dataset: str
    top1: float
    top5: float | None
    source: str


def _imagenet(top1, top5, source):
    return (PublishedError("ImageNet-1K, 224 pixels", top1, top5, source),)


def _cifar(error10, error100):
    source = "Xie et al. 2017, Table 7 (mean of 10 runs)"
    return (
        PublishedError("CIFAR-10", error10, None, source),
        PublishedError("CIFAR-100", error100, None, source),
    )


_TABLE_3, _TABLE_4 = "Xie et al. 2017, Table 3", "Xie et al. 2017, Table 4"
_WSL = "Mahajan et al. 2018, pre-trained on 940 million tagged photos"
_PADDLE = "PaddleClas model zoo"

# The published networks, and the error that was published with each.
PUBLISHED: dict[str, tuple[PublishedError, ...]] = {
    "resnext50_1x64d": _imagenet(23.9, None, _TABLE_3),
    "resnext50_2x40d": _imagenet(23.0, None, _TABLE_3),
    "resnext50_4x24d": _imagenet(22.6, None, _TABLE_3),
    "resnext50_8x14d": _imagenet(22.3, None, _TABLE_3),
    "resnext50_32x4d": _imagenet(22.2, None, _TABLE_3),
    "resnext50_64x4d": _imagenet(21.6, 5.9, _PADDLE),
    "resnext101_1x64d": _imagenet(22.0, 6.0, _TABLE_4),
    "resnext101_2x40d": _imagenet(21.7, None, _TABLE_3),
    "resnext101_4x24d": _imagenet(21.4, None, _TABLE_3),
    "resnext101_8x14d": _imagenet(21.3, None, _TABLE_3),
    "resnext101_32x4d": _imagenet(21.2, 5.6, _TABLE_4),
    "resnext101_1x100d": _imagenet(21.3, 5.7, _TABLE_4),
    "resnext101_2x64d": _imagenet(20.7, 5.5, _TABLE_4),
    "resnext101_64x4d": _imagenet(20.4, 5.3, _TABLE_4),
    "resnext101_32x8d": _imagenet(20.688, 5.474, "torchvision, IMAGENET1K_V1"),
    "resnext101_32x16d": _imagenet(15.8, 2.8, _WSL),
    "resnext101_32x32d": _imagenet(14.9, 2.5, _WSL),
    "resnext101_32x48d": _imagenet(14.6, 2.4, _WSL),
    "resnext152_1x64d": _imagenet(23.0, 6.7, "He et al. 2016, released model (stride in the 1x1)"),
    "resnext152_32x4d": _imagenet(21.12, 5.67, "mmpretrain model zoo"),
    "resnext152_64x4d": _imagenet(20.5, 5.3, _PADDLE),
    "resnext29_8x64d": _cifar(3.65, 17.77),
    "resnext29_16x64d": _cifar(3.58, 17.31),
}


def list_variants(pattern: str = "*") -> list[str]:
    """Names of the published networks that match a shell pattern, in the order of the tables.

    Any other name of the same form works as well: see `get_variant`.

    >>> list_variants("resnext152*")
    ['resnext152_1x64d', 'resnext152_32x4d', 'resnext152_64x4d']
    """
    return [name for name in PUBLISHED if fnmatch.fnmatchcase(name, pattern)]


def get_variant(name: str) -> Variant:
    """The network that a name stands for, listed or not.

    Raises:
        ValueError: the name is malformed or its depth is none that the template has.

    >>> get_variant("resnext29_8x64d").blocks
    (3, 3, 3)
    """
    match = re.fullmatch(r"resnext([1-9]\d{0,3})_([1-9]\d{0,3})x([1-9]\d{0,3})d", name)
    if match is None:
        raise ValueError(f"Unknown variant {name!r}: a name is {NAME_FORM}. Nearest: {_nearest(name)}")
    depth, cardinality, bottleneck_width = map(int, match.groups())
    blocks = _blocks(depth)
    if blocks is None:
        raise ValueError(
            f"Unknown variant {name!r}: depth {depth} is none of {DEPTHS}. Nearest: "
            f"resnext{_nearest_depth(depth)}_{cardinality}x{bottleneck_width}d"
        )
    return Variant(blocks, cardinality, bottleneck_width)


def _blocks(depth: int) -> tuple[int, ...] | None:
    if depth in IMAGENET_BLOCKS:
        return IMAGENET_BLOCKS[depth]
    n, remainder = divmod(depth - 2, 9)
    return (n, n, n) if n >= 1 and remainder == 0 else None


def _nearest(name: str) -> str:
    return difflib.get_close_matches(name, PUBLISHED, n=1, cutoff=0.0)[0]


def _nearest_depth(depth: int) -> int:
    return min((d for d in range(11, max(depth, 11) + 10) if _blocks(d)), key=lambda d: abs(d - depth))
