"""Table 1 of the paper as a drawing, from the numbers of `resnext info`."""

from svg import Drawing

from resnext.variants.complexity import complexity, stage_complexities
from resnext.variants.names import get_variant

TOP, BOTTOM = 60, 250


def draw_network(name: str) -> str:
    """Draw a network: a bar for each block, as high as its output in pixels and as wide as its channels."""
    network, rows, cost = get_variant(name), stage_complexities(name), complexity(name)
    words = ", ".join(f"conv{row.number} {row.height} x {row.width} x {row.channels}" for row in rows)
    drawing = Drawing(860, 352, f"{name}, stage by stage: {words}")
    drawing.text(
        20, 28, f"{name}: C = {network.cardinality} in every 3x3, d = {network.bottleneck_width}", "title", "start"
    )
    total = f"{cost.parameters / 1e6:.1f} million parameters, {cost.multiply_adds / 1e9:.1f} billion multiply-adds"
    drawing.text(840, 28, total, "small", "end")
    left, blocks = 20.0, [1, *network.blocks]
    for row, count in zip(rows, blocks, strict=True):
        width, height = 5 + row.channels / 128, (BOTTOM - TOP) * (row.height / rows[0].height) ** 0.7
        kind = "box" if row.number == 1 else "box-own"
        for i in range(count):
            drawing.box(left + i * (width + 6), BOTTOM - height, width, height, "", kind)
        span = max(count * (width + 6) - 6, 104)
        centre = left + (count * (width + 6) - 6) / 2 if span > 104 else left + 52
        drawing.text(centre, BOTTOM + 22, f"conv{row.number}" + (f", {count} blocks" if row.number > 1 else ""))
        drawing.text(centre, BOTTOM + 40, f"{row.height} x {row.width} x {row.channels}", "small")
        drawing.text(centre, BOTTOM + 56, f"{row.cost.parameters / 1e6:.2f} M", "small")
        drawing.text(centre, BOTTOM + 72, _layers(network, row.number), "small")
        if row.number == 2:
            drawing.text(centre, BOTTOM + 88, "after a 3x3 max-pool", "small")
        left += span + 40
    drawing.box(left, BOTTOM - 24, 8, 24, "")
    drawing.text(left + 34, BOTTOM + 22, "pool, fc")
    drawing.text(left + 34, BOTTOM + 40, f"{network.default_classes} classes", "small")
    head = cost.parameters - sum(row.cost.parameters for row in rows)
    drawing.text(left + 34, BOTTOM + 56, f"{head / 1e6:.2f} M", "small")
    return drawing.to_text()


def _layers(network, number: int) -> str:
    if number == 1:
        return "7x7, stride 2"
    stage = network.stages[number - 2]
    inner = network.cardinality * stage.group_width
    return f"{inner}, {inner}, {stage.channels}"
