"""The definition of a network: its blocks, its cardinality C, its bottleneck width d, and later additions. Facts only.

Source: Xie et al. 2017, "Aggregated Residual Transformations for Deep Neural Networks"
(https://arxiv.org/abs/1611.05431), Table 1 for the template, section 5.2 for the CIFAR networks; the other papers are
cited at the options that come from them. No Keras here.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from resnext.errors import ArgumentError
from resnext.keywords import as_call
from resnext.variants.departures import DEPARTURES, PAPER, Departures, Lineage

# Blocks in each stage, by the number in the name: Table 1 for 50, section 5.1 for 101; He et al. 2016, Table 1 for 152;
# one and two blocks per stage for 14 and 26, the smallest networks of the same template. 200 and 201 are timm's; the
# network called 201 has 203 layers.
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
# The ResNets of twice the bottleneck width (Zagoruyko & Komodakis 2016, https://arxiv.org/abs/1605.07146, Table 8), by
# the names that they would have otherwise: 2 is the factor to ResNet's d, 64.
WIDE = {f"resnext{depth}_1x128d": f"wide_resnet{depth}_2" for depth in (50, 101)}
# Blocks, C and d of the networks of `resnext.lineage`.
LINEAGE: dict[Lineage, tuple[tuple[int, ...], int, int]] = {"wenga": ((3, 4, 6, 3), 4, 32), "taki": ((3, 3, 3), 8, 64)}

BlockKind = Literal["bottleneck", "basic"]
Shortcut = Literal["A", "B", "C", "D", "none"]
Attention = Literal["se", "eca"]
AntiAliasing = Literal["average"]
StemPool = Literal["padded", "ceil"]
Activation = Literal["relu", "silu", "mish", "elu"]  # those that Keras and PyTorch define alike by default


class Stage(NamedTuple):
    """One residual stage: the paper's conv2 to conv5 have the numbers 2 to 5."""

    number: int
    blocks: int
    group_width: int  # channels of one path: d, doubled at every stage
    channels: int  # input and output channels of a block
    strides: int  # of the 3x3 of the first block
    dilation: int  # of the 3x3 of every block but the first
    first_dilation: int  # of the 3x3 of the first
    output_stride: int  # product of all strides up to here


class StemConvolution(NamedTuple):
    """One convolution of the stem."""

    name: str  # of the layer, before `_conv` and `_norm`
    filters: int
    kernel_size: int
    strides: int


class Block(NamedTuple):
    """The facts about one residual block, in the terms of `Variant`."""

    cardinality: int
    group_width: int  # channels of one path
    channels: int  # channels of the block's output
    strides: int = 1  # of the first 3x3
    dilation: int = 1  # of the first 3x3
    stage_dilation: int = 1  # of the stage's other blocks, and of a basic block's second 3x3
    kind: BlockKind = "bottleneck"
    attention: Attention | None = None
    anti_aliasing: AntiAliasing | None = None
    activation: Activation = "relu"
    last_gamma: float = 1.0
    drop_path: float = 0.0
    shortcut: Shortcut | Literal["identity"] = "B"
    sliced: bool = False
    departures: Departures = PAPER
    input_channels: int = 0
    stage: int = 0
    number: int = 0  # in its stage, from 1

    @property
    def inner_channels(self) -> int:
        """Channels of all paths together."""
        return self.cardinality * self.group_width


@dataclass(frozen=True)
class Variant:
    """The definition of a network, from which everything else, including its name, is derived.

    Those from the activation to the output stride do not appear in its name.

    Args:
        blocks: blocks in each stage; four stages have the ImageNet stem, three the CIFAR stem.
        cardinality: C, the number of parallel paths in a block; 1 is a ResNet.
        bottleneck_width: d, the channels of one path in stage 2.
        block: "bottleneck" (1x1, 3x3, 1x1), or "basic" (3x3, 3x3; He et al. 2016, Figure 5), which has one path.
        stem_channels: channels of the stem's convolutions: one, or for ImageNet three 3x3 instead of the 7x7 (ResNet-C,
            He et al. 2019, https://arxiv.org/abs/1812.01187, Figure 2).
        stem_pool: border of the ImageNet stem's max-pool: "padded" on both sides, or "ceil",
            over the far side only, as in Caffe and the first SE networks.
        shortcut: where shapes change, A pads with zero channels, B projects (He et al. 2016, section 4.1), and D
            averages 2x2 fields before it projects (ResNet-D, He et al. 2019); C projects in every block. The paper
            uses B, and "none" in its ablation.
        sliced: whether each path sees only its slice of a block's input, and not all of it, as in
            https://github.com/carmel-nzhinusoft/implement-ResNeXt-with-keras: another function than the paper's.
        lineage: None; "wenga" or "taki", the re-implementation whose departures from the paper the network has (see
            `resnext.lineage`).
        attention: None; "se", squeeze-and-excitation (Hu et al. 2018, https://arxiv.org/abs/1709.01507) with
            reduction 16; "eca", efficient channel attention (Wang et al. 2020, https://arxiv.org/abs/1910.03151).
        anti_aliasing: None, or "average": 2x2 averages after the 3x3 replace its stride, and the stem's max-pool (Zhang
            2019, https://arxiv.org/abs/1904.11486; with a box filter, timm's `aa` networks).
        activation: activation after every batch norm except a block's last, and after the addition.
        last_gamma: initial scale of the last batch norm of a block; 0 starts every block as the identity
            (Goyal et al. 2017, section 5.1).
        drop_path: probability in training that the last block returns only its shortcut for an image; linearly lower
            for earlier blocks (Huang et al. 2016, https://arxiv.org/abs/1603.09382).
        drop_rate: rate of the dropout before the classifier.
        output_stride: 8, 16 or 32: the largest product of strides; later stages dilate (Yu & Koltun 2016,
            https://arxiv.org/abs/1511.07122). That of `resnext50_wenga` is 64 and can't be changed.

    Raises:
        ArgumentError: a number below 1, a number of stages other than 3 or 4, an unknown word, or settings that do not
            fit together.

    >>> Variant(blocks=(3, 4, 6, 3), cardinality=32, bottleneck_width=4).name
    'resnext50_32x4d'
    """

    blocks: tuple[int, ...]
    cardinality: int
    bottleneck_width: int
    block: BlockKind = "bottleneck"
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
    sliced: bool = False
    lineage: Lineage | None = None

    def __repr__(self) -> str:
        return as_call(self)

    def __post_init__(self):
        if len(self.blocks) not in (3, 4):
            raise ArgumentError(f"`blocks` must name 3 stages (CIFAR) or 4 (ImageNet). Received: {self.blocks}")
        numbers = (*self.blocks, *self.stem_channels, self.cardinality, self.bottleneck_width)
        if not all(isinstance(number, int) and number >= 1 for number in numbers):
            raise ArgumentError(
                "`blocks`, `stem_channels`, `cardinality` and `bottleneck_width` must be whole and at least 1. "
                f"Received: {self.blocks}, {self.stem_channels}, {self.cardinality}, {self.bottleneck_width}"
            )
        for name, allowed in _ALLOWED.items():
            if getattr(self, name) not in allowed:
                words = ", ".join(map(repr, allowed))
                raise ArgumentError(f"`{name}` must be one of {words}. Received: {getattr(self, name)!r}")
        for name in ("drop_path", "drop_rate"):
            if not 0 <= getattr(self, name) < 1:
                raise ArgumentError(f"`{name}` must be from 0 to below 1. Received: {getattr(self, name)!r}")
        if self.block == "basic" and self.cardinality != 1:
            raise ArgumentError(f"A basic block has one path: `cardinality` must be 1. Received: {self.cardinality}")
        if self.sliced and (self.block == "basic" or self.stem_channels[-1] % self.cardinality):
            raise ArgumentError(
                "`sliced` needs bottleneck blocks, and a cardinality that divides the stem's channels, "
                f"{self.stem_channels[-1]}. Received: {self.block!r} blocks with cardinality {self.cardinality}"
            )
        usual = ("bottleneck", None, "padded", 32)
        if self.lineage and (self.block, self.anti_aliasing, self.stem_pool, self.output_stride) != usual:
            raise ArgumentError(
                "`lineage` needs bottleneck blocks without anti-aliasing, the usual `stem_pool` and `output_stride`. "
                f"Received: {self.block!r}, {self.anti_aliasing!r}, {self.stem_pool!r}, {self.output_stride}"
            )
        if len(self.stem_channels) != 1 and (len(self.stem_channels) != 3 or self.stem == "cifar"):
            raise ArgumentError(
                "`stem_channels` must be one number, or three with the ImageNet stem. "
                f"Received: {self.stem_channels} with the {self.stem} stem"
            )

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Variant":
        """Return the variant of a document, the inverse of `dataclasses.asdict`; lists become tuples again."""
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in document.items()}
        return cls(**values)

    @property
    def depth(self) -> int:
        """The number of layers with weights on the longest path: 3 or 2 per block, the stem's first, the classifier."""
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
        usual = usual_shortcut(self.block, self.stem, letter, self.lineage)
        end = "" if self.shortcut == usual else f"-shortcut-{self.shortcut}"
        if self.sliced != (self.lineage == "wenga"):
            end += "-sliced" if self.sliced else "-unsliced"
        numbers = self.blocks, self.cardinality, self.bottleneck_width
        size = f"{self.cardinality}x{self.bottleneck_width}d"
        if self.lineage:
            size = self.lineage if numbers == LINEAGE[self.lineage] else f"{size}_{self.lineage}"
        elif self.block == "basic" or (self.stem == "imagenet" and numbers[1:] == (1, 64)):
            return f"{before}resnet{after}{end}"
        usual_name = f"{before}resnext{after}_{size}"
        return WIDE.get(usual_name, usual_name) + end

    @property
    def departures(self) -> Departures:
        """Where the network departs from the paper's template."""
        return DEPARTURES[self.lineage]

    @property
    def stem(self) -> Literal["imagenet", "cifar"]:
        return "imagenet" if len(self.blocks) == 4 else "cifar"

    @property
    def image_size(self) -> int:
        """The side in pixels of the images that the published networks were trained on."""
        return 224 if self.stem == "imagenet" else 32

    @property
    def default_classes(self) -> int:
        """The number of classes if none is passed: ImageNet's 1000, or CIFAR-10's 10 with the CIFAR stem."""
        return 1000 if self.stem == "imagenet" else 10

    @property
    def stem_convolutions(self) -> tuple[StemConvolution, ...]:
        """The stem: a 7x7 or three 3x3, the first with stride 2; or one 3x3 for CIFAR (section 5.2)."""
        imagenet, single = self.stem == "imagenet", len(self.stem_channels) == 1
        side = 7 if imagenet and single else 3
        return tuple(
            StemConvolution("stem" if single else f"stem_{i}", filters, side, 2 if imagenet and i == 1 else 1)
            for i, filters in enumerate(self.stem_channels, 1)
        )

    def blocks_of(self, stage: Stage) -> tuple[Block, ...]:
        """Return the facts about every block of a stage, in order; the first may change the shape."""
        before = sum(self.blocks[: stage.number - 2])
        channels = self.stages[stage.number - 3].channels if stage.number > 2 else self.stem_channels[-1]
        blocks = []
        for number in range(1, stage.blocks + 1):
            strides = stage.strides if number == 1 else 1
            changes = channels != stage.channels or strides != 1
            blocks.append(
                Block(
                    self.cardinality,
                    stage.group_width,
                    stage.channels,
                    strides=strides,
                    dilation=stage.first_dilation if number == 1 else stage.dilation,
                    stage_dilation=stage.dilation,
                    kind=self.block,
                    attention=self.attention,
                    anti_aliasing=self.anti_aliasing,
                    activation=self.activation,
                    last_gamma=self.last_gamma,
                    drop_path=self.drop_path * (before + number - 1) / max(1, sum(self.blocks) - 1),
                    shortcut=self.shortcut if changes or self.shortcut in ("C", "none") else "identity",
                    sliced=self.sliced,
                    departures=self.departures,
                    input_channels=channels,
                    stage=stage.number,
                    number=number,
                )
            )
            channels = stage.channels
        return tuple(blocks)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The residual stages, with the paper's numbers 2 to 5."""
        stages, departures = [], self.departures
        output_stride, dilation = (4, 1) if self.stem == "imagenet" else (1, 1)
        for i, blocks in enumerate(self.blocks):
            strides, first_dilation = departures.first_strides if i == 0 else 1, dilation
            if i > 0 and (output_stride < self.output_stride or departures.first_strides > 1):
                strides = 2
            elif i > 0:
                dilation *= 2
            output_stride *= strides
            width = self.bottleneck_width * (2**i if departures.doubles_width else 1)
            channels = departures.first_channels * 2**i if self.block == "bottleneck" else width
            stages.append(
                Stage(i + 2, blocks, width, channels, strides, dilation, first_dilation, output_stride),
            )
        return tuple(stages)


def usual_shortcut(block: BlockKind, stem: str, letter: str, lineage: Lineage | None = None) -> Shortcut:
    """Return the shortcut of the networks whose names do not mention one.

    Args:
        block: kind of their blocks.
        stem: "imagenet" or "cifar".
        letter: letter behind the depth in the name, if there is one.
        lineage: as in `Variant`.
    """
    if lineage == "taki" or (block == "basic" and stem == "cifar"):  # He et al. 2016, section 4.2
        return "A"
    return "D" if letter else "B"


_ALLOWED: dict[str, tuple] = {
    "block": get_args(BlockKind),
    "stem_pool": get_args(StemPool),
    "shortcut": get_args(Shortcut),
    "attention": (None, *get_args(Attention)),
    "anti_aliasing": (None, *get_args(AntiAliasing)),
    "activation": get_args(Activation),
    "output_stride": (8, 16, 32),
    "lineage": (None, *get_args(Lineage)),
}
