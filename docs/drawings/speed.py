"""The speed of a step beside other libraries, from the results of the benchmarks."""

import json
from pathlib import Path
from typing import NamedTuple

from svg import Drawing

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
NAMES = {
    "tensorflow": "resnext, TensorFlow",
    "torch": "resnext, PyTorch",
    "jax": "resnext, JAX",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
}
PANEL, ROW, LEFT, TOP = 590, 24, 296, 58
SCALE = 110  # pixels of a ratio of 1


class Row(NamedTuple):
    """A system and its speed: median, lowest and highest ratio."""

    name: str
    is_ours: bool
    ratio: tuple[float, float, float]


def rows(file: str, mode: str, dtype: str, baseline: str) -> list[Row]:
    """Return the systems that were timed in turns with a library, the fastest first."""
    duels = json.loads((RESULTS / file).read_text())["duels"]
    found = [
        Row(_name(duel), duel["task"]["system"] == "resnext", tuple(duel["ratio"]))
        for duel in duels
        if (duel["task"]["mode"], duel["task"]["dtype"]) == (mode, dtype) and duel["baseline"]["system"] == baseline
    ]
    return sorted(found, key=lambda row: -row.ratio[0])


def _name(duel: dict) -> str:
    task, compiled = duel["task"], duel["baseline"].get("compile")
    name = NAMES.get(task.get("backend") or task["system"], task["system"])
    return (
        name
        + (", compiled" if task.get("compile") else "")
        + (f" : compiled {duel['baseline']['system']}" if compiled else "")
    )


def draw_speed() -> str:
    """Draw four panels: training and inference, on a CPU and on a GPU."""
    panels = [
        (f"{word}, {where}", rows(file, mode, dtype, than), than)
        for where, file, dtype, than in (
            ("2 CPU cores, float32", "step.json", "float32", "torchvision"),
            ("NVIDIA H200, bfloat16", "gpu.json", "bfloat16", "timm"),
        )
        for mode, word in (("train", "training"), ("infer", "inference"))
    ]
    best = [(words, next(row for row in found if row.is_ours)) for words, found, _ in panels]
    said = "; ".join(f"{words}: {row.name} {row.ratio[0]:.2f} times" for words, row in best)
    heights = [max(len(found) for _, found, _ in panels[i : i + 2]) * ROW + TOP + 24 for i in (0, 2)]
    title = f"Speed of a step of ResNeXt-50 (32x4d), relative to torchvision's or timm's. {said}"
    drawing = Drawing(2 * PANEL, sum(heights), title)
    for i, (words, found, than) in enumerate(panels):
        _draw_panel(drawing, (i % 2) * PANEL, sum(heights[: i // 2]), words, found, than)
    return drawing.to_text()


def _draw_panel(drawing: Drawing, left: float, top: float, words: str, found: list[Row], than: str) -> None:
    zero, bottom = left + LEFT, top + TOP + len(found) * ROW
    drawing.text(left + 16, top + 24, words, "title", "start")
    drawing.text(zero + SCALE, top + TOP - 14, f"{than} = 1", "small")
    drawing.line([(zero + SCALE, top + TOP - 8), (zero + SCALE, bottom)], "dash")
    for i, row in enumerate(found):
        y, (median, lowest, highest) = top + TOP + ROW * (i + 0.5), row.ratio
        kind = "own" if row.is_ours else ""
        drawing.text(zero - 12, y + 4.5, row.name, kind, "end")
        drawing.line([(zero + SCALE * lowest, y), (zero + SCALE * highest, y)], "line-own" if row.is_ours else "line")
        drawing.dot(zero + SCALE * median, y, "dot-own" if row.is_ours else "dot")
        drawing.text(zero + SCALE * highest + 8, y + 4.5, f"{median:.2f}", f"number {kind}".strip(), "start")
