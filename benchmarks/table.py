"""Tables and plot of the results in docs/performance.md: `python benchmarks/table.py` writes them there."""

import json
import re

from duel import HERE

DOCUMENT = HERE.parent / "docs" / "performance.md"
PICTURE = DOCUMENT.with_name("performance.png")
NAMES = {"tensorflow": "TensorFlow", "torch": "PyTorch", "jax": "JAX"}


def results(name: str) -> dict:
    return json.loads((HERE / "results" / f"{name}.json").read_text())


def title(task: dict) -> str:
    words = [task["system"]]
    if task.get("backend"):
        words.append(f"({NAMES[task['backend']]})")
    if task.get("variant", "resnext50_32x4d") != "resnext50_32x4d":
        words.append(task["variant"])
    words += [word for word in ("compile", "remat") if task.get(word)]
    words.append(f"{task['mode']} {task['dtype']}")
    return " ".join(words) + ("" if task["batch"] == 16 else f", batch {task['batch']}")


def step_table(document: dict) -> str:
    lines = [
        "| contender | baseline | ratio (lowest, highest) | n | images/s | peak GB | first step s |",
        "|---|---|---|---|---|---|---|",
    ]
    for duel in document["duels"]:
        names = f"| {title(duel['task'])} | {title(duel['baseline'])} |"
        if "failed" in duel:
            lines.append(f"{names} failed: {duel['failed']} | | | | |")
            continue
        median, lowest, highest = duel["ratio"]
        pairs = [
            f"{ours:.{digits}f} : {theirs:.{digits}f}"
            for key, digits in (("images_per_second", 2), ("peak_memory_gb", 1), ("first_step_seconds", 0))
            for ours, theirs in [duel[key]]
        ]
        lines.append(f"{names} **{median:.2f}** ({lowest:.2f}, {highest:.2f}) | {duel['n']} | {' | '.join(pairs)} |")
    return "\n".join(lines)


def conv_table(document: dict) -> str:
    lines = ["| backend | dtype | images | kernel | ms by route, the route used in bold |", "|---|---|---|---|---|"]
    rows: dict = {}
    for row in document["layers"]:
        kernel = f"{row['kernel_size']}x{row['kernel_size']}, {row['filters']}, {row['groups']} groups"
        key = (NAMES[row["backend"]], row["dtype"], f"{row['side']}x{row['side']}", kernel)
        text = f"{row['route']} {row['milliseconds'][0]:.0f}"
        rows.setdefault(key, []).append(f"**{text}**" if row["chosen"] else text)
    lines += [f"| {' | '.join(key)} | {', '.join(routes)} |" for key, routes in rows.items()]
    return "\n".join(lines)


def scaling_table(document: dict) -> str:
    lines = ["| axis | point | images/s over the base's (lowest, highest) | peak GB |", "|---|---|---|---|"]
    for duel in document["duels"]:
        changed = [str(duel["task"][key]) for key in ("variant", "form") if key in duel["task"]]
        point = " form ".join(changed) or f"{duel['task'][duel['task']['axis']]}"
        median, lowest, highest = duel["ratio"]
        peak = duel["peak_memory_gb"][0]
        lines.append(f"| {duel['task']['axis']} | {point} | {median:.2f} ({lowest:.2f}, {highest:.2f}) | {peak:.1f} |")
    return "\n".join(lines)


def draw(document: dict) -> None:
    """Draw the ratios to torchvision as bars, resnext's in blue."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    duels = [d for d in document["duels"] if d["baseline"]["system"] == "torchvision" and "ratio" in d][::-1]
    figure, axes = pyplot.subplots(figsize=(9, 0.4 * len(duels) + 1), layout="constrained")
    medians = [duel["ratio"][0] for duel in duels]
    spread = [[d["ratio"][0] - d["ratio"][1] for d in duels], [d["ratio"][2] - d["ratio"][0] for d in duels]]
    colours = ["tab:blue" if duel["task"]["system"] == "resnext" else "tab:grey" for duel in duels]
    axes.barh([title(duel["task"]) for duel in duels], medians, xerr=spread, color=colours, ecolor="black", capsize=2)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlabel("images per second divided by torchvision's, same dtype (median; lowest, highest)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURE, dpi=100)


def main():
    text = DOCUMENT.read_text()
    for name, table in (("step", step_table), ("conv", conv_table), ("scaling", scaling_table), ("gpu", step_table)):
        if not (HERE / "results" / f"{name}.json").exists():
            continue
        document = results(name)
        head = f"{document['machine']}; {document['date']}; `python {document['command']}`"
        block = f"<!-- {name} -->\n{head}\n\n{table(document)}\n<!-- end -->"
        text = re.sub(rf"<!-- {name} -->.*?<!-- end -->", lambda _, block=block: block, text, flags=re.S)
    DOCUMENT.write_text(text)
    draw(results("step"))


if __name__ == "__main__":
    main()
