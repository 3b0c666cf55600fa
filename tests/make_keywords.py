"""Write the keywords of the verbs of Python, as their dataclasses define them: python tests/make_keywords.py

Editors and `help()` show every word of a verb by these types; tests/test_keywords.py compares them.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path

from resnext.exporting.options import ExportOptions
from resnext.inference.options import EvaluationOptions, PredictionOptions
from resnext.recipes.recipe import Recipe
from resnext.runs.config import TrainingOptions

PACKAGE = Path(__file__).parents[1] / "resnext"
FILES = {
    "training/keywords.py": {"TrainingKeywords": (Recipe, TrainingOptions)},
    "inference/keywords.py": {"EvaluationKeywords": (EvaluationOptions,), "PredictionKeywords": (PredictionOptions,)},
    "exporting/keywords.py": {"ExportKeywords": (ExportOptions,)},
}
WIDER = {"weights": "str | Path | None", "size": "int | tuple[int, ...]"}  # than the field, which keeps one kind


def text(classes: dict[str, tuple[type, ...]]) -> str:
    """The source text of a file with one TypedDict for each verb."""
    imports, bodies = {("typing", "TypedDict")}, []
    for name, options in classes.items():
        lines = []
        for each in options:
            for field in dataclasses.fields(each):
                kind = WIDER.get(field.name, field.type)
                if field.name != "name":
                    lines.append(f"    {field.name}: {kind}")
                    imports |= {(home, word) for word in re.findall(r"[A-Z]\w+", kind) if (home := home_of(word, each))}
        what = " and ".join(f"`{each.__name__}`" for each in options)
        bodies.append(f'class {name}(TypedDict, total=False):\n    """The fields of {what}."""\n\n' + "\n".join(lines))
    head = '"""The words of the verbs, written by tests/make_keywords.py."""\n\nfrom __future__ import annotations\n\n'
    homes = sorted({home for home, _ in imports}, key=lambda home: (home.startswith("resnext"), home))
    lines = [f"from {home} import {', '.join(sorted(word for at, word in imports if at == home))}" for home in homes]
    split = next((i for i, home in enumerate(homes) if home.startswith("resnext")), len(homes))
    groups = [group for group in (lines[:split], lines[split:]) if group]
    return head + "\n\n".join("\n".join(group) for group in groups) + "\n\n\n" + "\n\n\n".join(bodies) + "\n"


def home_of(word: str, options: type) -> str | None:
    """The module that defines a name in an annotation; None for a name of Python's own."""
    if word in ("Path", "Any", "Literal"):
        return {"Path": "pathlib", "Any": "typing", "Literal": "typing"}[word]
    return options.__module__ if word in vars(sys.modules[options.__module__]) else None


if __name__ == "__main__":
    for path, classes in FILES.items():
        (PACKAGE / path).write_text(text(classes), encoding="utf-8")
