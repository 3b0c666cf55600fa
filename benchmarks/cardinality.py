"""The paper's two ablations on a small scale, on CIFAR-10: cardinality at equal complexity, and no shortcuts.

    python benchmarks/cardinality.py cifar10 runs/cardinality --epochs 4 --seeds 3

The networks have 14 layers and run at 32 pixels. Their C x d have about the same complexity, as in Table 2 of Xie et
al. 2017, but are narrower. The first and the last are also trained without shortcuts (section 5.1). No block starts as
the identity: without a shortcut it would start, and stay, at zero. Finished runs are not repeated. The script writes
results.json and figure.png into the folder: test errors of the last epoch, with the standard deviation over the seeds.
"""

import argparse
import dataclasses
import json
import statistics
from pathlib import Path

WIDTHS = ("1x24d", "2x14d", "4x8d", "8x4d")
WITHOUT = ("1x24d", "8x4d")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--dtype", default="mixed_bfloat16")
    arguments = parser.parse_args()

    settings = [(width, "B") for width in WIDTHS] + [(width, "none") for width in WITHOUT]
    for seed in range(arguments.seeds):  # seed by seed, so that early results are complete
        for width, shortcut in settings:
            run(arguments, width, shortcut, seed)
            print(
                f"{width} shortcut {shortcut} seed {seed}: {error(arguments.out, width, shortcut, seed):.2f} %",
                flush=True,
            )
    results = [summary(arguments, width, shortcut) for width, shortcut in settings]
    (arguments.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    draw(results, arguments.out / "figure.png")


def folder(out: Path, width: str, shortcut: str, seed: int) -> Path:
    return out / f"{width}-{shortcut}-{seed}"


def variant_of(width: str, shortcut: str):
    from resnext import get_variant

    return dataclasses.replace(get_variant(f"resnext14_{width}"), shortcut=shortcut)


def run(arguments, width: str, shortcut: str, seed: int) -> None:
    from resnext import get_recipe, train

    path = folder(arguments.out, width, shortcut, seed)
    if (path / "report.html").exists():
        return
    variant = variant_of(width, shortcut)
    recipe = dataclasses.replace(
        get_recipe("cifar-short"), image_size=32, epochs=arguments.epochs, warmup_epochs=1, zero_gamma=False
    )
    train(arguments.data, variant, path, recipe=recipe, seed=seed, dtype=arguments.dtype)


def error(out: Path, width: str, shortcut: str, seed: int) -> float:
    from resnext.runs.run import Run

    return 100 * (1 - Run.open(folder(out, width, shortcut, seed)).history.last.validation_accuracy)


def summary(arguments, width: str, shortcut: str) -> dict:
    from resnext import complexity

    errors = [error(arguments.out, width, shortcut, seed) for seed in range(arguments.seeds)]
    cost = complexity(variant_of(width, shortcut), (32, 32, 3), 10)
    return {
        "width": width,
        "shortcut": shortcut,
        "parameters": cost.parameters,
        "multiply_adds": cost.multiply_adds,
        "errors": errors,
        "mean": statistics.mean(errors),
        "deviation": statistics.stdev(errors) if len(errors) > 1 else 0.0,
    }


def draw(results: list[dict], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for shortcut, label in (("B", "with shortcuts"), ("none", "without")):
        rows = [row for row in results if row["shortcut"] == shortcut]
        places = [WIDTHS.index(row["width"]) for row in rows]
        spread = [row["deviation"] for row in rows]
        axes.errorbar(places, [row["mean"] for row in rows], spread, marker="o", capsize=4, label=label)
    axes.set_xticks(range(len(WIDTHS)), WIDTHS)
    axes.set(xlabel="cardinality x bottleneck width", ylabel="test error (%), mean and deviation over seeds")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
