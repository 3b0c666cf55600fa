"""The network for a name, and the names of the published networks."""

import dataclasses
import difflib
import fnmatch
import re
from typing import Any

from resnext.errors import ArgumentError, kind_of
from resnext.variants.departures import Lineage
from resnext.variants.published import PUBLISHED
from resnext.variants.variant import (
    BASIC_BLOCKS,
    DEEP_STEMS,
    IMAGENET_BLOCKS,
    LINEAGE,
    PLAIN_STEM,
    STEM_OF_201,
    WIDE,
    BlockKind,
    Variant,
    usual_shortcut,
)

NAME_FORM = (
    "resnext{depth}_{cardinality}x{bottleneck width}d, for example resnext50_32x4d, or resnet{depth}; with se, eca or "
    "legacy_se before it, and aa, d or t around the depth, as in seresnextaa101d_32x8d; or wide_resnet50_2, "
    "wide_resnet101_2, resnext50_wenga or resnext29_taki"
)
DEPTHS = "14, 26, 50, 101, 152, 200 or 201 (ImageNet stem), or 9n+2: 11, 20, 29, 38, ... (CIFAR stem)"
RESNET_DEPTHS = (
    "10, 14, 18, 26, 34, 50, 101, 152 or 200 (ImageNet stem), or 6n+2: 20, 32, 44, 56, 110, ... (CIFAR stem)"
)
_END = r"(?:-shortcut-(?P<shortcut>A|B|C|D|none))?(?P<sliced>-sliced)?"
_NAME = re.compile(
    r"(?P<legacy>legacy_(?=seresnext))?(?P<attention>se|eca)?res(?P<family>net|next)(?P<aa>aa)?"
    r"(?P<depth>[1-9]\d{0,3})(?P<letter>[dt])?(?:_(?P<cardinality>[1-9]\d{0,3})x(?P<width>[1-9]\d{0,3})d)?" + _END
)
# Names that differ in the source of the weights only: timm's before 0.9 (the last table of timm/models/resnet.py), with
# the first word; those on PyTorch's hub (facebookresearch's WSL-Images and semi-supervised-ImageNet1K-models), with the
# last; the training that timm's tags name now, and the networks.
_SEMI_SUPERVISED = "resnext50_32x4d resnext101_32x4d resnext101_32x8d resnext101_32x16d"
_GLUON = "resnext50_32x4d resnext101_32x4d resnext101_64x4d seresnext50_32x4d seresnext101_32x4d seresnext101_64x4d"
_SOURCES = (
    ("tv", None, "tv_in1k", "resnet34 resnet50 resnet101 resnet152 resnext50_32x4d"),
    ("ig", "wsl", "fb_wsl_ig1b_ft_in1k", " ".join(f"resnext101_32x{width}d" for width in (8, 16, 32, 48))),
    ("ssl", "ssl", "fb_ssl_yfcc100m_ft_in1k", _SEMI_SUPERVISED),
    ("swsl", "swsl", "fb_swsl_ig1b_ft_in1k", _SEMI_SUPERVISED),
    ("gluon", None, "gluon_in1k", _GLUON),
)
# Other libraries' names of networks: the usual name, or the tag of the weights that the name stands for as well.
OTHER_NAMES = {
    **{wide: name for name, wide in WIDE.items()},
    **{f"{first}_{name}": f"{name}.{tag}" for first, _, tag, names in _SOURCES for name in names.split()},
    **{f"{name}_{last}": f"{name}.{tag}" for _, last, tag, names in _SOURCES if last for name in names.split()},
    "seresnext26tn_32x4d": "seresnext26t_32x4d",  # timm
    "se_resnext50_32x4d": "legacy_seresnext50_32x4d",  # Cadene's pretrainedmodels
    "se_resnext101_32x4d": "legacy_seresnext101_32x4d",
}
_LINEAGE_NAME = re.compile(r"resnext(?:50_(?=wenga)|29_(?=taki))(?P<lineage>wenga|taki)" + _END)


def list_variants(pattern: str = "*") -> list[str]:
    """Return the names of the published networks that match a shell pattern, in the order of the tables.

    Any other name of the same form works as well: see `get_variant`.

    >>> list_variants("resnext152*")
    ['resnext152_32x4d', 'resnext152_64x4d']
    """
    return [name for name in PUBLISHED if fnmatch.fnmatchcase(name, pattern)]


def get_variant(name: str) -> Variant:
    """Return the network that a name stands for, listed or not.

    `resnet50` is the paper's ResNet-50, also called `resnext50_1x64d`; `resnet18` and `resnet34` have basic blocks;
    `resnet20`, `resnet32`, ... (6n+2) are He et al.'s for CIFAR, with shortcut A. The letters are timm's: `d` and `t`
    add a deep stem and shortcut D, `aa` anti-aliasing, `se` and `eca` attention; `legacy_se` is SE with Caffe's pool.
    `-shortcut-A` and `-sliced` at the end change the shortcut, and what each path sees (see `Variant`).
    `resnext50_wenga` and `resnext29_taki` are the networks of `resnext.lineage`; `wide_resnet50_2` is
    `resnext50_1x128d`. Former names that add the source of weights (`ssl_resnext50_32x4d`) stand for the network.

    Raises:
        ArgumentError: the name is malformed or the template has no such depth.

    >>> get_variant("resnext29_8x64d").blocks
    (3, 3, 3)
    """
    front, dash, end = name.partition("-")
    usual = OTHER_NAMES[front].partition(".")[0] + dash + end if front in OTHER_NAMES else name
    if match := _LINEAGE_NAME.fullmatch(usual):
        return _lineage(match)
    match = _NAME.fullmatch(usual)
    if match is None or (match["family"] == "next") != bool(match["width"]):
        raise ArgumentError(f"Unknown variant {name!r}: a name is {NAME_FORM}. Nearest: {nearest(name)}")
    depth, letter = int(match["depth"]), match["letter"]
    block, blocks = _blocks(match["family"], depth)
    cifar = len(blocks) == 3
    if not blocks or (cifar and (match["legacy"] or match["aa"] or letter)):
        raise ArgumentError(_no_such_depth(name, match))
    attention: Any = match["attention"]
    shortcut: Any = match["shortcut"]
    stem = DEEP_STEMS[letter] if letter else PLAIN_STEM
    width = 16 if cifar and block == "basic" else 64  # He et al. 2016, section 4.2
    return Variant(
        blocks,
        cardinality=int(match["cardinality"] or 1),
        bottleneck_width=int(match["width"] or width),
        block=block,
        stem_channels=(width,) if width == 16 else STEM_OF_201 if (depth, letter) == (201, "d") else stem,
        stem_pool="ceil" if match["legacy"] else "padded",
        shortcut=shortcut or usual_shortcut(block, "cifar" if cifar else "imagenet", letter or ""),
        sliced=bool(match["sliced"]),
        attention=attention,
        anti_aliasing="average" if match["aa"] else None,
    )


def _lineage(match: re.Match) -> Variant:
    lineage: Lineage = match["lineage"]
    shortcut = match["shortcut"] or usual_shortcut("bottleneck", "", "", lineage)
    sliced = lineage == "wenga" or bool(match["sliced"])
    return Variant(*LINEAGE[lineage], shortcut=shortcut, sliced=sliced, lineage=lineage)


def full_name(variant: Variant) -> str:
    """Return the name of a network with every setting that is not the one the name stands for.

    >>> full_name(Variant(blocks=(3, 4, 6, 3), cardinality=32, bottleneck_width=4, activation="silu"))
    'resnext50_32x4d-activation-silu'
    """
    try:
        named = dataclasses.asdict(get_variant(variant.name))
    except ArgumentError:  # networks of these numbers of blocks have no name
        named = dataclasses.asdict(variant) | {"blocks": ()}
    end = ""
    for name, value in dataclasses.asdict(variant).items():
        if value != named[name]:
            words = "-".join(map(str, value)) if isinstance(value, tuple) else str(value)
            end += f"-{name.replace('_', '-')}-{words}"
    return variant.name + end


def as_variant(variant: str | Variant) -> Variant:
    """Return the variant for a name; return a variant unchanged. Raises ArgumentError."""
    if isinstance(variant, Variant):
        return variant
    if isinstance(variant, str):
        return get_variant(variant)
    raise ArgumentError(
        f"`variant` must be a name, such as 'resnext50_32x4d', or a Variant. Received: "
        f"{kind_of(variant)}. A Keras model is trained by its own `fit`"
    )


def _blocks(family: str, depth: int) -> tuple[BlockKind, tuple[int, ...]]:
    """Return the kind of block and the blocks per stage for the number in a name; no blocks if there are none."""
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
    return (
        f"Unknown variant {name!r}: depth {depth} is not one of {allowed}{limit}. Nearest: res{family}{nearest}{size}"
    )


def nearest(name: str) -> str:
    """Return a variant whose name differs in the last letter or two; else the most similar published one."""
    name = name.lower().replace("-", "_").replace("resnext_", "resnext")
    for candidate in (name, f"{name}_32x4d", f"{name}_8x64d", f"{name}d", name[:-1], name[:-2]):
        match = _NAME.fullmatch(candidate)
        if match and match["width"] and match["family"] == "next" and _blocks("next", int(match["depth"]))[1]:
            return candidate
    return difflib.get_close_matches(name, PUBLISHED, n=1, cutoff=0.0)[0]
