"""The block in four forms, and the identity and the downsampling block, drawn from the layers that `resnext` builds."""

from typing import NamedTuple

import keras
from svg import Drawing

from resnext.model.blocks import downsampling_block, identity_block
from resnext.variants.variant import Block

CARDINALITY, WIDTH, CHANNELS, SIDE = 4, 32, 256, 56
TITLES = {
    "a": "a: summed paths",
    "b": "b: early concatenation",
    "c": "c: grouped convolution",
    "sliced": "sliced: the seed's",
}
PANEL, GAP, LEFT, INSIDE = 200, 28, 80, 172
TOP, BOX = 70, 38
# Rows of the 1x1, the 3x3, the merge, the transition, the sum, the addition of the shortcut and the output.
AT_1X1, AT_3X3, MERGE, TRANSITION, SUM, ADD, OUTPUT = 124, 192, 252, 292, 356, 394, 436


class Facts(NamedTuple):
    """What the layers of a block say."""

    paths: int
    sees: int  # channels that a path sees
    widths: tuple[int, int]  # filters of its 1x1 and its 3x3
    groups: int  # of the 3x3
    transitions: int
    merged: int  # channels that a transition sees
    channels: int


def facts(form: str) -> Facts:
    """Return what the layers of an identity block of a form say."""
    inputs = keras.Input(_image(CHANNELS))
    names = {
        layer.name: layer
        for layer in keras.Model(inputs, identity_block(inputs, _block(), "block", form)).layers
        if hasattr(layer, "kernel")
    }
    first, middle, last = (
        [layer for name, layer in names.items() if name.endswith(end)]
        for end in ("transform_1x1_conv", "transform_3x3_conv", "transition_conv")
    )
    widths = first[0].filters, middle[0].filters
    sees, merged = first[0].kernel.shape[2], last[0].kernel.shape[2]
    return Facts(len(first), sees, widths, middle[0].groups, len(last), merged, last[0].filters)


def _block(**changes) -> Block:
    return Block(CARDINALITY, WIDTH, CHANNELS)._replace(**changes)


def _image(channels: int) -> tuple[int, int, int]:
    is_first = keras.config.image_data_format() == "channels_first"
    return (channels, SIDE, SIDE) if is_first else (SIDE, SIDE, channels)


def draw_forms() -> str:
    """Draw the block in four forms side by side."""
    title = (
        f"One residual block of {CARDINALITY} paths in four forms: a sums the paths, b concatenates them before one "
        "transition, c is a grouped convolution, and these three are one function; in the sliced form each path sees "
        "only a quarter of the channels"
    )
    drawing = Drawing(LEFT + 4 * PANEL + 3 * GAP, 456, title)
    for word, y in (("split", 105), ("transform", AT_1X1 + 57), ("merge", MERGE + 5), ("transition", TRANSITION + 24)):
        drawing.text(8, y, word, "word", "start")
    for i, form in enumerate(TITLES):
        _draw_form(drawing, LEFT + i * (PANEL + GAP), form, facts(form))
    for i, words in ((0, "="), (1, "="), (2, "≠")):
        drawing.text(LEFT + i * (PANEL + GAP) + (INSIDE + 14 + PANEL + GAP) / 2, AT_1X1 + 60, words, "equal")
    return drawing.to_text()


def _draw_form(drawing: Drawing, left: float, form: str, known: Facts) -> None:
    middle, right = left + INSIDE / 2, left + INSIDE + 14
    drawing.text(left, 24, TITLES[form], "title", "start")
    _draw_input(drawing, middle, right)
    _draw_transform(drawing, left, form, known)
    _draw_transitions(drawing, left, known)
    drawing.text(middle - 8, ADD - 16, str(known.channels), "shape", "end")
    _draw_end(drawing, middle, right)


def _columns(left: float, count: int) -> list[tuple[float, float]]:
    """Return left end and width of each of some boxes side by side."""
    width = (INSIDE - 8 * (count - 1)) / count
    return [(left + i * (width + 8), width) for i in range(count)]


def _fitted(words: str, width: float) -> str:
    return words if width > 80 else words.replace(", ", "\n")


def _draw_input(drawing: Drawing, middle: float, right: float) -> None:
    drawing.text(middle, 52, f"x, {SIDE} x {SIDE} x {CHANNELS}")
    drawing.line([(middle, 58), (middle, TOP)])
    drawing.line([(middle, TOP), (right, TOP), (right, ADD), (middle + 10, ADD)])


def _draw_transform(drawing: Drawing, left: float, form: str, known: Facts) -> None:
    is_sliced, middle = known.sees < CHANNELS, left + INSIDE / 2
    line = "line-own" if is_sliced else "line"
    for x, width in _columns(left, known.paths):
        centre = x + width / 2
        drawing.line([(middle, TOP), (centre, AT_1X1 - 18), (centre, AT_1X1)], line)
        drawing.box(x, AT_1X1, width, BOX, _fitted(f"1x1, {known.widths[0]}", width))
        drawing.line([(centre, AT_1X1 + BOX), (centre, AT_3X3)])
        drawing.text(centre, (AT_1X1 + BOX + AT_3X3) / 2 + 4, str(known.widths[0]), "shape")
        words = f"3x3, {known.widths[1]}" + (f", in {known.groups} groups" if known.groups > 1 else "")
        drawing.box(x, AT_3X3, width, BOX, _fitted(words, width), "box-own" if known.groups > 1 else "box")
    if known.paths > 1:
        words = f"{known.sees} each" if is_sliced else f"all {known.sees}"
        drawing.text(middle, 99, words, "shape own" if is_sliced else "shape")


def _draw_transitions(drawing: Drawing, left: float, known: Facts) -> None:
    middle, is_summed = left + INSIDE / 2, known.transitions > 1
    for x, width in _columns(left, known.paths):
        centre = x + width / 2
        end = (centre, TRANSITION) if is_summed else (centre, MERGE)
        drawing.line([(centre, AT_3X3 + BOX), end])
        if is_summed:
            drawing.text(centre, MERGE + 5, str(known.merged), "shape")
    if known.paths > 1 and not is_summed:
        drawing.box(left, MERGE - 5, INSIDE, 10, "", "box-own" if known.sees == CHANNELS else "box")
    if not is_summed:
        drawing.line([(middle, MERGE), (middle, TRANSITION)])
        drawing.text(middle, MERGE + 24, str(known.merged), "shape")
    for x, width in _columns(left, known.transitions):
        kind = "box-own" if is_summed else "box"
        drawing.box(x, TRANSITION, width, BOX, _fitted(f"1x1, {known.channels}", width), kind)
        drawing.line([(x + width / 2, TRANSITION + BOX), (middle, SUM if is_summed else ADD - 10)])
    if is_summed:
        drawing.circle(middle, SUM, "Σ", "box-own")
        drawing.text(middle + 16, SUM + 14, "sum", "word", "start")
        drawing.line([(middle, SUM + 10), (middle, ADD - 10)])


def _draw_end(drawing: Drawing, middle: float, right: float) -> None:
    drawing.circle(middle, ADD, "+")
    drawing.line([(middle, ADD + 10), (middle, OUTPUT - 14)])
    drawing.text(middle, OUTPUT, f"ReLU, y, {SIDE} x {SIDE} x {CHANNELS}")


def draw_blocks() -> str:
    """Draw the identity block and the downsampling block in form c."""
    drawing = Drawing(760, 330, "The identity block adds its input; the downsampling block adds a projection of it")
    x = keras.Input(_image(CHANNELS))
    wide = _block(cardinality=32, group_width=8, channels=2 * CHANNELS, strides=2)
    same = _block(cardinality=32, group_width=4)
    _draw_block(drawing, 20, "identity block", keras.Model(x, identity_block(x, same, "block")))
    _draw_block(drawing, 400, "downsampling block", keras.Model(x, downsampling_block(x, wide, "block")))
    return drawing.to_text()


def _draw_block(drawing: Drawing, left: float, title: str, model: keras.Model) -> None:
    middle, right = left + 95, left + 275
    drawing.text(left, 24, title, "title", "start")
    drawing.text(middle, 54, f"x, {_shape(model.input)}")
    drawing.line([(middle, 60), (middle, 90)])
    for i, part in enumerate(("transform_1x1", "transform_3x3", "transition")):
        layer, y = model.get_layer(f"block_{part}_conv"), 90 + 52 * i
        drawing.box(left, y, 190, 30, _words(layer))
        drawing.line([(middle, y + 30), (middle, y + 52)])
    names = [layer.name for layer in model.layers]
    if "block_shortcut_conv" in names:
        drawing.line([(middle, 74), (right, 74), (right, 142)], "line-own")
        drawing.box(right - 65, 142, 130, 30, _words(model.get_layer("block_shortcut_conv")), "box-own")
        drawing.line([(right, 172), (right, 256), (middle + 10, 256)], "line-own")
    else:
        drawing.line([(middle, 74), (right, 74), (right, 256), (middle + 10, 256)], "line-own")
    drawing.circle(middle, 256, "+")
    drawing.line([(middle, 266), (middle, 290)])
    drawing.text(middle, 306, f"ReLU, y, {_shape(model.output)}")


def _words(layer) -> str:
    groups = f", C = {layer.groups}" if layer.groups > 1 else ""
    strides = ", stride 2" if layer.strides[0] == 2 else ""
    return f"{layer.kernel_size[0]}x{layer.kernel_size[1]}, {layer.filters}{groups}{strides}"


def _shape(tensor) -> str:
    sides = [*tensor.shape[1:]]
    if keras.config.image_data_format() == "channels_first":
        sides = [*sides[1:], sides[0]]
    return " x ".join(map(str, sides))
