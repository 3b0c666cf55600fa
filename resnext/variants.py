"""What a network is: its blocks, its cardinality C, its bottleneck width d, and what was added to it since. Facts only.

Source: Xie et al. 2017, "Aggregated Residual Transformations for Deep Neural Networks"
(https://arxiv.org/abs/1611.05431), Table 1 for the template, section 5.2 for the CIFAR networks; the other papers stand
beside the options that come from them. No Keras here.
"""

import difflib
import fnmatch
import re
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

# Blocks in each stage, by the number in the name: Table 1 for 50, section 5.1 for 101; He et al. 2016, Table 1 for 152;
# one and two blocks a stage for 14 and 26, the smallest networks of the same template. 200 and 201 are timm's; the
# network that is called 201 has 203 layers.
IMAGENET_BLOCKS = {
    14: (1, 1, 1, 1),
    26: (2, 2, 2, 2),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
    201: (3, 24, 36, 4),
}
BASIC_BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}  # He et al. 2016, Table 1
PLAIN_STEM = (64,)
# ResNet-C's stem (He et al. 2019, Figure 2) under the letter of ResNet-D; t is timm's, narrower at first.
DEEP_STEMS = {"d": (32, 32, 64), "t": (24, 32, 64)}
STEM_OF_201 = (64, 64, 128)

NAME_FORM = (
    "resnext{depth}_{cardinality}x{bottleneck width}d, for example resnext50_32x4d, or resnet{depth}; with se, eca or "
    "legacy_se before it, and aa, d or t around the depth, as in seresnextaa101d_32x8d"
)
DEPTHS = "14, 26, 50, 101, 152, 200 or 201 (ImageNet stem), or 9n+2: 11, 20, 29, 38, ... (CIFAR stem)"
RESNET_DEPTHS = (
    "10, 14, 18, 26, 34, 50, 101, 152 or 200 (ImageNet stem), or 6n+2: 20, 32, 44, 56, 110, ... (CIFAR stem)"
)
_NAME = re.compile(
    r"(?P<legacy>legacy_(?=seresnext))?(?P<attention>se|eca)?res(?P<family>net|next)(?P<aa>aa)?"
    r"(?P<depth>[1-9]\d{0,3})(?P<letter>[dt])?(?:_(?P<cardinality>[1-9]\d{0,3})x(?P<width>[1-9]\d{0,3})d)?"
)

Block = Literal["bottleneck", "basic"]
Shortcut = Literal["A", "B", "C", "D", "none"]
Attention = Literal["se", "eca"]
AntiAliasing = Literal["average"]
StemPool = Literal["padded", "ceil"]
Activation = Literal["relu", "silu", "mish", "elu"]  # those that Keras and PyTorch mean alike by default


class Stage(NamedTuple):
    """One residual stage: the paper's conv2 to conv5 have the numbers 2 to 5."""

    number: int
    blocks: int
    group_width: int  # channels of one path: d, doubled at every stage
    channels: int  # channels that a block takes and gives
    strides: int  # of the 3x3 of the first block
    dilation: int  # of the 3x3 of every block but the first
    first_dilation: int  # of the 3x3 of the first
    output_stride: int  # of all strides up to here


@dataclass(frozen=True)
class Variant:
    """What the network is; everything else, its name included, is derived.

    The last four describe how it is trained or used, and leave no trace in its name.

    Args:
        blocks: blocks in each stage; four stages take the ImageNet stem, three the CIFAR stem.
        cardinality: C, the number of parallel paths in a block; 1 is a ResNet.
        bottleneck_width: d, the channels of one path in stage 2.
        block: "bottleneck" (1x1, 3x3, 1x1), or "basic" (3x3, 3x3; He et al. 2016, Figure 5), which has one path.
        stem_channels: of the stem's convolutions: one, or for ImageNet three 3x3 instead of the 7x7 (ResNet-C, He et
            al. 2019, https://arxiv.org/abs/1812.01187, Figure 2).
        stem_pool: how the windows of the ImageNet stem's max-pool meet the border: "padded" on both sides, or "ceil",
            over the far side only, as in Caffe and the first SE networks.
        shortcut: where shapes change, A pads with zero channels, B projects (He et al. 2016, section 4.1), and D
            averages 2x2 fields before it projects (ResNet-D, He et al. 2019); C projects in every block. The paper
            uses B, and "none" in its ablation.
        attention: None; "se", squeeze-and-excitation (Hu et al. 2018, https://arxiv.org/abs/1709.01507) with
            reduction 16; "eca", efficient channel attention (Wang et al. 2020, https://arxiv.org/abs/1910.03151).
        anti_aliasing: None, or "average": 2x2 averages after the 3x3 do what its stride does, and what the stem's
            max-pool does (Zhang 2019, https://arxiv.org/abs/1904.11486; with a box filter, timm's `aa` networks).
        activation: after every batch norm but a block's last, and after the addition.
        last_gamma: initial scale of the last batch norm of a block; 0 starts every block as the identity
            (Goyal et al. 2017, section 5.1).
        drop_path: probability in training that the last block gives its shortcut only, for one image; lower before,
            linearly (Huang et al. 2016, https://arxiv.org/abs/1603.09382).
        drop_rate: of the dropout before the classifier.
        output_stride: 8, 16 or 32: the largest product of strides; stages after it dilate (Yu & Koltun 2016,
            https://arxiv.org/abs/1511.07122).

    Raises:
        ValueError: a number below 1, a number of stages other than 3 or 4, an unknown word, or what does not fit.

    >>> Variant(blocks=(3, 4, 6, 3), cardinality=32, bottleneck_width=4).name
    'resnext50_32x4d'
    """

    blocks: tuple[int, ...]
    cardinality: int
    bottleneck_width: int
    block: Block = "bottleneck"
    stem_channels: tuple[int, ...] = PLAIN_STEM
    stem_pool: StemPool = "padded"
    shortcut: Shortcut = "B"
    attention: Attention | None = None
    anti_aliasing: AntiAliasing | None = None
    activation: Activation = "relu"
    last_gamma: float = 1.0
    drop_path: float = 0.0
    drop_rate: float = 0.0
    output_stride: int = 32

    def __post_init__(self):
        if len(self.blocks) not in (3, 4):
            raise ValueError(f"`blocks` must name 3 stages (CIFAR) or 4 (ImageNet). Received: {self.blocks}")
        numbers = (*self.blocks, *self.stem_channels, self.cardinality, self.bottleneck_width)
        if not all(isinstance(number, int) and number >= 1 for number in numbers):
            raise ValueError(
                "`blocks`, `stem_channels`, `cardinality` and `bottleneck_width` must be whole and at least 1. "
                f"Received: {self.blocks}, {self.stem_channels}, {self.cardinality}, {self.bottleneck_width}"
            )
        for name, allowed in _ALLOWED.items():
            if getattr(self, name) not in allowed:
                words = ", ".join(map(repr, allowed))
                raise ValueError(f"`{name}` must be one of {words}. Received: {getattr(self, name)!r}")
        for name in ("drop_path", "drop_rate"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be from 0 to below 1. Received: {getattr(self, name)!r}")
        if self.block == "basic" and self.cardinality != 1:
            raise ValueError(f"A basic block has one path: `cardinality` must be 1. Received: {self.cardinality}")
        if len(self.stem_channels) != 1 and (len(self.stem_channels) != 3 or self.stem == "cifar"):
            raise ValueError(
                "`stem_channels` must be one number, or three with the ImageNet stem. "
                f"Received: {self.stem_channels} with the {self.stem} stem"
            )

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Variant":
        """The inverse of `dataclasses.asdict`, also where JSON has made lists of the tuples."""
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in document.items()}
        return cls(**values)

    @property
    def depth(self) -> int:
        """Layers with weights on the longest path: three or two a block, the stem's first and the classifier's."""
        return (3 if self.block == "bottleneck" else 2) * sum(self.blocks) + 2

    @property
    def name(self) -> str:
        numbers = BASIC_BLOCKS if self.block == "basic" else IMAGENET_BLOCKS
        depth = next((number for number, blocks in numbers.items() if blocks == self.blocks), self.depth)
        letter = next((letter for letter, stem in DEEP_STEMS.items() if stem == self.stem_channels), "")
        if self.stem_channels == STEM_OF_201:
            letter = "d"
        before = f"{'legacy_' if self.stem_pool == 'ceil' else ''}{self.attention or ''}"
        after = f"{'aa' if self.anti_aliasing else ''}{depth}{letter}"
        if self.block == "basic" or (self.stem == "imagenet" and (self.cardinality, self.bottleneck_width) == (1, 64)):
            return f"{before}resnet{after}"
        return f"{before}resnext{after}_{self.cardinality}x{self.bottleneck_width}d"

    @property
    def stem(self) -> Literal["imagenet", "cifar"]:
        return "imagenet" if len(self.blocks) == 4 else "cifar"

    @property
    def image_size(self) -> int:
        """Side in pixels of the images that the published networks were trained on."""
        return 224 if self.stem == "imagenet" else 32

    @property
    def stages(self) -> tuple[Stage, ...]:
        stages = []
        output_stride, dilation = (4, 1) if self.stem == "imagenet" else (1, 1)
        for i, blocks in enumerate(self.blocks):
            strides, first_dilation = 1, dilation
            if i > 0 and output_stride < self.output_stride:
                strides = 2
            elif i > 0:
                dilation *= 2
            output_stride *= strides
            width = self.bottleneck_width * 2**i
            channels = FIRST_STAGE_CHANNELS * 2**i if self.block == "bottleneck" else width
            stages.append(
                Stage(i + 2, blocks, width, channels, strides, dilation, first_dilation, output_stride),
            )
        return tuple(stages)


FIRST_STAGE_CHANNELS = 256  # of bottleneck blocks; doubled at every stage after it, like every width (Table 1)

_ALLOWED: dict[str, tuple] = {
    "block": get_args(Block),
    "stem_pool": get_args(StemPool),
    "shortcut": get_args(Shortcut),
    "attention": (None, *get_args(Attention)),
    "anti_aliasing": (None, *get_args(AntiAliasing)),
    "activation": get_args(Activation),
    "output_stride": (8, 16, 32),
}


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
_TORCHVISION = "torchvision, IMAGENET1K_V1"
_SE = "Hu et al. 2018, the authors' released model"
_TIMM = "timm's results on ImageNet"


def _cifar10(error10):
    return (PublishedError("CIFAR-10", error10, None, "He et al. 2016, Table 6"),)


# The published networks, and the errors that were published with each: of its first training.
PUBLISHED: dict[str, tuple[PublishedError, ...]] = {
    "resnet18": _imagenet(30.242, 10.924, _TORCHVISION),
    "resnet34": _imagenet(26.686, 8.58, _TORCHVISION),
    "resnet50": _imagenet(23.9, None, _TABLE_3),
    "resnext50_2x40d": _imagenet(23.0, None, _TABLE_3),
    "resnext50_4x24d": _imagenet(22.6, None, _TABLE_3),
    "resnext50_8x14d": _imagenet(22.3, None, _TABLE_3),
    "resnext50_32x4d": _imagenet(22.2, None, _TABLE_3),
    "resnext50_64x4d": _imagenet(21.6, 5.9, _PADDLE),
    "resnet101": _imagenet(22.0, 6.0, _TABLE_4),
    "resnext101_2x40d": _imagenet(21.7, None, _TABLE_3),
    "resnext101_4x24d": _imagenet(21.4, None, _TABLE_3),
    "resnext101_8x14d": _imagenet(21.3, None, _TABLE_3),
    "resnext101_32x4d": _imagenet(21.2, 5.6, _TABLE_4),
    "resnext101_1x100d": _imagenet(21.3, 5.7, _TABLE_4),
    "resnext101_2x64d": _imagenet(20.7, 5.5, _TABLE_4),
    "resnext101_64x4d": _imagenet(20.4, 5.3, _TABLE_4),
    "resnext101_32x8d": _imagenet(20.688, 5.474, _TORCHVISION),
    "resnext101_32x16d": _imagenet(15.8, 2.8, _WSL),
    "resnext101_32x32d": _imagenet(14.9, 2.5, _WSL),
    "resnext101_32x48d": _imagenet(14.6, 2.4, _WSL),
    "resnet152": _imagenet(23.0, 6.7, "He et al. 2016, released model (stride in the 1x1)"),
    "resnext152_32x4d": _imagenet(21.12, 5.67, "mmpretrain model zoo"),
    "resnext152_64x4d": _imagenet(20.5, 5.3, _PADDLE),
    "resnext29_8x64d": _cifar(3.65, 17.77),
    "resnext29_16x64d": _cifar(3.58, 17.31),
    "resnext50d_32x4d": _imagenet(20.328, 5.122, f"{_TIMM}, bt_in1k"),
    "seresnext26d_32x4d": _imagenet(22.408, 6.386, f"{_TIMM}, bt_in1k"),
    "seresnext26t_32x4d": _imagenet(22.02, 6.25, f"{_TIMM}, bt_in1k"),
    "seresnext50_32x4d": _imagenet(20.97, 5.54, _SE),
    "seresnext101_32x4d": _imagenet(19.81, 4.96, _SE),
    "seresnext101_64x4d": _imagenet(19.116, 4.692, f"{_TIMM}, gluon_in1k"),
    "seresnext101_32x8d": _imagenet(16.382, 3.588, f"{_TIMM}, ah_in1k"),
    "seresnext101d_32x8d": _imagenet(16.298, 3.38, f"{_TIMM}, ah_in1k"),
    "seresnextaa101d_32x8d": _imagenet(16.1, 3.352, f"{_TIMM}, ah_in1k"),
    "seresnextaa201d_32x8d": (
        PublishedError("ImageNet-1K, 384 pixels", 12.696, 1.666, f"{_TIMM}, sw_in12k_ft_in1k_384"),
    ),
    "legacy_seresnext26_32x4d": _imagenet(22.9, 6.668, f"{_TIMM}, in1k"),
    "legacy_seresnext50_32x4d": _imagenet(20.92, 5.572, f"{_TIMM}, in1k"),
    "legacy_seresnext101_32x4d": _imagenet(19.726, 4.968, f"{_TIMM}, in1k"),
    "ecaresnext26t_32x4d": (),  # defined by timm, never trained
    "ecaresnext50t_32x4d": (),
    "resnet20": _cifar10(8.75),
    "resnet32": _cifar10(7.51),
    "resnet44": _cifar10(7.17),
    "resnet56": _cifar10(6.97),
    "resnet110": _cifar10(6.43),
}


def list_variants(pattern: str = "*") -> list[str]:
    """Names of the published networks that match a shell pattern, in the order of the tables.

    Any other name of the same form works as well: see `get_variant`.

    >>> list_variants("resnext152*")
    ['resnext152_32x4d', 'resnext152_64x4d']
    """
    return [name for name in PUBLISHED if fnmatch.fnmatchcase(name, pattern)]


def get_variant(name: str) -> Variant:
    """The network that a name stands for, listed or not.

    `resnet50` is the paper's ResNet-50, also called `resnext50_1x64d`; `resnet18` and `resnet34` have basic blocks;
    `resnet20`, `resnet32`, ... (6n+2) are He et al.'s for CIFAR, with shortcut A. The letters are timm's: `d` and `t`
    take a deep stem and shortcut D, `aa` anti-aliasing, `se` and `eca` attention; `legacy_se` is SE with Caffe's pool.

    Raises:
        ValueError: the name is malformed or its depth is none that the template has.

    >>> get_variant("resnext29_8x64d").blocks
    (3, 3, 3)
    """
    match = _NAME.fullmatch(name)
    if match is None or (match["family"] == "next") != bool(match["width"]):
        raise ValueError(f"Unknown variant {name!r}: a name is {NAME_FORM}. Nearest: {_nearest(name)}")
    depth, letter = int(match["depth"]), match["letter"]
    block, blocks = _blocks(match["family"], depth)
    cifar = len(blocks) == 3
    if not blocks or (cifar and (match["legacy"] or match["aa"] or letter)):
        raise ValueError(_no_such_depth(name, match))
    attention: Any = match["attention"]
    stem = DEEP_STEMS[letter] if letter else PLAIN_STEM
    width = 16 if cifar and block == "basic" else 64  # He et al. 2016, section 4.2
    return Variant(
        blocks,
        cardinality=int(match["cardinality"] or 1),
        bottleneck_width=int(match["width"] or width),
        block=block,
        stem_channels=(width,) if width == 16 else STEM_OF_201 if (depth, letter) == (201, "d") else stem,
        stem_pool="ceil" if match["legacy"] else "padded",
        shortcut="A" if width == 16 else "D" if letter else "B",
        attention=attention,
        anti_aliasing="average" if match["aa"] else None,
    )


def _blocks(family: str, depth: int) -> tuple[Block, tuple[int, ...]]:
    """The kind of block of a network with that number in its name, and how many; none where there is none."""
    if family == "net" and depth in BASIC_BLOCKS:
        return "basic", BASIC_BLOCKS[depth]
    if depth in IMAGENET_BLOCKS:
        return "bottleneck", IMAGENET_BLOCKS[depth]
    block, layers = ("bottleneck", 9) if family == "next" else ("basic", 6)
    n, remainder = divmod(depth - 2, layers)
    return block, (n, n, n) if n >= 1 and remainder == 0 else ()


def _no_such_depth(name: str, match: re.Match) -> str:
    family, depth = match["family"], int(match["depth"])
    imagenet = match["legacy"] or match["aa"] or match["letter"]
    possible = (d for d in range(8, max(depth, 11) + 10) if len(_blocks(family, d)[1]) >= (4 if imagenet else 3))
    nearest = min(possible, key=lambda d: abs(d - depth), default=50)
    size = f"_{match['cardinality']}x{match['width']}d" if match["width"] else ""
    allowed = DEPTHS if family == "next" else RESNET_DEPTHS
    limit = "; legacy_, aa, d and t need the ImageNet stem" if imagenet else ""
    return f"Unknown variant {name!r}: depth {depth} is none of {allowed}{limit}. Nearest: res{family}{nearest}{size}"


def _nearest(name: str) -> str:
    return difflib.get_close_matches(name, PUBLISHED, n=1, cutoff=0.0)[0]
