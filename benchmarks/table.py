"""Tables of the results in docs/performance.md and docs/forms.md: `python benchmarks/table.py` writes them there."""

import json
import re

from duel import HERE

DOCUMENT = HERE.parent / "docs" / "performance.md"
FORMS = DOCUMENT.with_name("forms.md")
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
        point = duel["task"].get("variant") or f"{duel['task'][duel['task']['axis']]}"
        median, lowest, highest = duel["ratio"]
        peak = duel["peak_memory_gb"][0]
        lines.append(f"| {duel['task']['axis']} | {point} | {median:.2f} ({lowest:.2f}, {highest:.2f}) | {peak:.1f} |")
    return "\n".join(lines)


def forms_table(documents: list[dict]) -> str:
    """Return the speed of forms a, b and sliced relative to form c, by backend and network."""
    lines = ["| backend, network | a | b | sliced |", "|---|---|---|---|"]
    rows: dict = {}
    for duel in (duel for document in documents for duel in document["duels"]):
        task, (median, lowest, highest) = duel["task"], duel["ratio"]
        cells = rows.setdefault(f"{NAMES[task['backend']]}, {task['variant']}", {})
        cells[task["form"]] = f"**{median:.2f}** ({lowest:.2f}, {highest:.2f})"
    lines += [
        f"| {name} | {' | '.join(cells[form] for form in ('a', 'b', 'sliced'))} |" for name, cells in rows.items()
    ]
    return "\n".join(lines)


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
    forms = [results(f"forms_{backend}") for backend in NAMES]
    block = f"<!-- forms -->\n{forms_table(forms)}\n<!-- end -->"
    FORMS.write_text(re.sub(r"<!-- forms -->.*?<!-- end -->", lambda _: block, FORMS.read_text(), flags=re.S))


if __name__ == "__main__":
    main()
