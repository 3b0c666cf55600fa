"""The house: who imports whom, what is public, what a run folder holds, and how long the package may get."""

import ast
import dataclasses
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import REPOSITORY, resnext

import resnext as package

SOURCE = Path(package.__file__).parent

# From the facts up: a module may import those of the rooms before its own, and the ones named beside it.
ROOMS = [
    {
        "variants": set(),
        "complexity": {"variants"},
        "preprocessing": set(),
        "published": {"preprocessing"},
        "labels": {"published"},
        "recipes": {"preprocessing"},
        "backend": set(),
        "files": set(),
    },
    {"tensors": set(), "names": set(), "hub": {"tensors"}},
    {"layers": set(), "weights": set()},
    {"blocks": set()},
    {
        "model": set(),
        "lineage": set(),
        "augment": set(),
        "trees": set(),
        "words": {"trees"},
        "label_files": {"trees"},
        "sources": {"trees", "words", "label_files"},
        "pipeline": {"augment", "sources"},
    },
    {"forms": set(), "folding": set(), "remat": set(), "features": set()},
    {
        "run": set(),
        "checkpoints": set(),
        "stopping": set(),
        "watching": set(),
        "state": set(),
        "parallel": set(),
        "optimizers": set(),
        "averaging": set(),
    },
    {
        "check": set(),
        "evaluate": set(),
        "pictures": {"evaluate"},
        "report": {"evaluate"},
        "compare": {"pictures"},
        "predict": {"evaluate"},
        "preview": set(),
    },
    {"callbacks": set(), "bench": set()},
    {"train": set()},
    {"cli": set()},
]
DOORS = {"__init__", "__main__"}  # the package's name and its command: they may import what they open

# Raised by editing the number and saying here why. 2,500: the first release, lines that are not blank. 3,000: the fast
# routes and their twins, folding, recomputation, `resnext bench`. 4,600: the wider family, everybody's weights. 7,200:
# archives, label files, data sets by name, `check-data`; the published recipes and what they need; reports.
# 7,900: checkpoints, resuming, and what faults come to. 8,200: more than one device and process.
LINES = 8_200

PUBLIC = {
    "GroupedConv2D", "Recipe", "ResNeXt", "Variant", "backbone", "check_data", "compare", "complexity", "convert",
    "decode_predictions", "evaluate", "fold", "freeze", "get_recipe", "get_variant", "list_variants", "list_weights",
    "load_weights", "predict", "preprocess_input", "preview", "resume", "save_weights", "to_form", "train",
}  # fmt: skip
SETTINGS = [
    "--recipe", "--epochs", "--batch-size", "--learning-rate", "--image-size", "--test-size", "--test-crop",
    "--interpolation", "--mean", "--std", "--schedule", "--final-rate", "--steps", "--warmup-epochs", "--warmup-start",
    "--optimizer", "--momentum", "--nesterov", "--weight-decay", "--decay-all", "--accumulate", "--clip-norm", "--ema",
    "--drop-path", "--zero-gamma", "--loss", "--label-smoothing", "--mixup", "--cutmix", "--crop", "--crop-area",
    "--pad", "--flip", "--color-jitter", "--lighting", "--rand-augment", "--trivial-augment", "--erasing", "--repeats",
    "--freeze", "--layer-decay",
]  # fmt: skip
COMMANDS = {
    "list": ["PATTERN", "--weights"],
    "info": ["VARIANT|TAG"],
    "recipes": [],
    "train": ["DATA", "--resume", "--variant", "--out", "--weights", "--seed", "--dtype", "--remat", "--workers",
              "--skip-bad", "--tensorboard", "--checkpoint-every", *SETTINGS],
    "evaluate": ["RUN", "DATA", "--weights", "--batch-size"],
    "compare": ["RUN...", "--out"],
    "predict": ["RUN", "IMAGE...", "--top", "--weights"],
    "check-data": ["DATA"],
    "convert": ["SOURCE", "--out", "--to"],
    "preview": ["DATA", "--out", "--seed", *SETTINGS],
    "bench": ["conv|data", "[DATA]", "--variant", "--batch-size", "--image-size", "--recipe", "--dtype", "--native",
              "--json"],
}  # fmt: skip


def imports(source: str) -> set[str]:
    """Modules of ours that a source text imports, in functions too."""
    modules = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            name = "resnext" + (f".{node.module}" if node.module else "") if node.level else node.module or ""
            if name == "resnext":
                modules |= {alias.name for alias in node.names}
            elif name.startswith("resnext."):
                modules.add(name.split(".")[1])
        elif isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("resnext.")}
    return modules


def violations(sources: dict[str, str]) -> list[str]:
    allowed, below = {}, set()
    for room in ROOMS:
        allowed |= {module: below | beside for module, beside in room.items()}
        below = below | room.keys()
    return [
        f"{module} imports {other}"
        for module, source in sources.items()
        if module not in DOORS
        for other in imports(source) - allowed[module] - {module}
    ]


def test_imports_point_downwards():
    sources = {path.stem: path.read_text() for path in SOURCE.glob("*.py")}
    for init in SOURCE.glob("*/__init__.py"):
        sources[init.parent.name] = "\n".join(path.read_text() for path in sorted(init.parent.glob("*.py")))
    assert sources.keys() - DOORS == {module for room in ROOMS for module in room}
    assert violations(sources) == []


def test_the_guard_above_can_fail():
    assert violations({"layers": "def f():\n    from resnext.model import ResNeXt"}) == ["layers imports model"]
    assert violations({"sources": "from .train import train"}) == ["sources imports train"]
    assert violations({"variants": "import resnext.complexity"}) == ["variants imports complexity"]


def test_facts_do_not_import_keras():
    facts = ", ".join(
        f"resnext.{module}" for module in (*ROOMS[0], *ROOMS[1], "weights", "augment", "sources", "pipeline")
    )
    code = f"import sys, {facts}; sys.exit('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_only_the_chosen_backend_computes():
    """Keras itself looks for TensorFlow where it is installed; we must not."""
    for path in SOURCE.glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
                assert not {name.split(".")[0] for name in names} & {"tensorflow", "jax", "torch"}, path


def test_public_names_are_frozen():
    assert set(package.__all__) == PUBLIC
    for name in PUBLIC:
        assert callable(getattr(package, name))
        assert name in dir(package)
        assert getattr(package, name).__doc__
    with pytest.raises(AttributeError, match="module 'resnext' has no attribute 'nothing'"):
        package.nothing  # noqa: B018


def test_commands_and_options_are_frozen():
    text = resnext("--help").stdout
    assert f"{{{','.join(COMMANDS)}}}" in text
    for command, options in COMMANDS.items():
        words = resnext(command, "--help").stdout.replace("│", " ").split()
        named = dict.fromkeys(words)  # a short command's usage line has them, too
        given = [word.rstrip(",") for word in named if word.startswith("--") and word != "--help"]
        given = [word for word in dict.fromkeys(given) if not word.startswith("--no-")]
        assert given == [option for option in options if option.startswith("--")]
        assert {option for option in options if not option.startswith("--")} <= set(words)


def test_configuration_of_a_run_is_frozen():
    from resnext.recipes import Recipe
    from resnext.run import RunConfig

    assert [field.name for field in dataclasses.fields(RunConfig)] == [
        "variant", "classes", "preprocessing", "recipe", "data", "seed", "dtype", "weights", "remat", "skip_bad",
        "tensorboard", "checkpoint_every", "versions",
    ]  # fmt: skip
    fields = [f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(Recipe)]
    assert fields == ["--name", *SETTINGS[1:]]


def test_package_stays_within_its_budget_of_lines():
    lines = sum(1 for path in SOURCE.rglob("*.py") for line in path.read_text().splitlines() if line.strip())
    assert lines <= LINES


def test_version_is_one_fact_in_two_places():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert project["version"] == package.__version__
