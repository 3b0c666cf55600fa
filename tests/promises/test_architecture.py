"""The house: who imports whom, what is public, what a run folder holds, and how long a function may get."""

import ast
import dataclasses
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import resnext as package
from support.command import Command, resnext
from support.places import REPOSITORY

SOURCE = Path(package.__file__).parent

CONTRIBUTING = (REPOSITORY / "CONTRIBUTING.md").read_text()
# From left to right: a room imports only rooms to its left. One name is one folder, or one module beside them.
ROOMS = " ".join(re.findall(r"^    (errors \| log ending (?:.+\n)+)", CONTRIBUTING, re.MULTILINE)[0].split())
DOORS = {"__init__", "__main__"}  # the package's name and its command: they may import what they open

# The only files that import Keras at the top: all others can be imported to parse a command or refuse an argument.
KERAS_AT_THE_TOP = (
    "layers/", "lineage.py", "model/", "training/build.py", "training/evaluation_weights.py",
    "training/fitting_steps.py", "training/losses.py", "training/optimizers.py",
    "training/probe.py", "training/progress.py", "training/recorder.py",
    "training/saving.py", "training/schedules.py", "training/session.py", "training/variables.py",
)  # fmt: skip


PUBLIC = {
    "BatchPredictor", "EvaluationOptions", "ExportOptions", "GroupedConv2D", "ImageSource", "Model",
    "PredictionOptions", "Preprocessing", "Recipe", "ResNeXt", "Run", "TrainingOptions",
    "Variant", "backbone", "errors", "lineage",
    "check_data", "compare", "complexity", "convert", "cross_validate", "decode_predictions",
    "evaluate", "explain", "export", "fold", "freeze", "get_recipe", "get_variant", "list_variants", "list_weights",
    "load_weights", "predict", "preprocess_input", "preview", "resume", "save_weights", "to_form", "train",
}  # fmt: skip
SETTINGS = [
    "--recipe", "--epochs", "--batch-size", "--learning-rate", "--evaluate-every", "--image-size", "--test-size",
    "--test-crop", "--fit", "--channels", "--interpolation", "--mean", "--std", "--schedule", "--final-rate", "--steps",
    "--warmup-epochs", "--warmup-start", "--optimizer", "--momentum", "--nesterov", "--weight-decay", "--decay-all",
    "--accumulate", "--clip-norm", "--ema", "--drop-path", "--zero-gamma", "--loss", "--label-smoothing", "--mixup",
    "--cutmix", "--crop", "--crop-area", "--pad", "--flip", "--vertical-flip", "--rotate", "--color-jitter", "--hue",
    "--lighting", "--greyscale", "--blur", "--rand-augment", "--trivial-augment", "--erasing", "--repeats", "--focal",
    "--class-weights", "--sampling", "--freeze", "--layer-decay", "--best-by", "--patience",
]  # fmt: skip
COMMON = ["--format", "--config", "--quiet"]
COMMANDS = {
    "list": ["PATTERN", "--weights"],
    "info": ["NETWORK|TAG|MODEL"],
    "recipes": [],
    "train": ["DATA", "--resume", "--variant", "--out", "--workers", "--device", "--weights", "--seed", "--dtype",
              "--form", "--shortcut", "--remat", "--skip-bad", "--follow-links", "--held-out", "--folds", "--fold",
              "--group-by",
              "--classes", "--train-share", "--log", "--checkpoint-every", "--keep-every", "--like", *SETTINGS],
    "evaluate": ["MODEL", "DATA", "--weights", "--against", "--by", "--format", "--out", "--size", "--crop",
                 "--interpolation", "--crops", "--flip", "--only-data-classes", "--engine", "--batch-size",
                 "--follow-links", "--all"],
    "compare": ["RUN...", "--out"],
    "predict": ["MODEL", "INPUT...", "--weights", "--format", "--out", "--embeddings", "--copy-to", "--top",
                "--threshold", "--calibrated", "--follow-links", "--engine"],
    "explain": ["MODEL", "INPUT...", "--out", "--weights", "--class", "--follow-links", "--raw", "--fine", "--paths",
                "--block"],
    "export": ["MODEL", "FILE", "--out", "--weights", "--data", "--images", "--to", "--normalisation", "--maps",
               "--dtype", "--calibration", "--keep-ends", "--max-drop", "--size", "--push"],
    "serve": ["[NAME=]MODEL", "--host", "--port", "--token", "--batch-size", "--queue", "--deadline"],
    "check-data": ["DATA", "--follow-links"],
    "convert": ["SOURCE...", "--out", "--to", "--variant", "--key", "--data"],
    "preview": ["DATA", "--out", "--seed", "--follow-links", *SETTINGS],
    "bench": ["conv|data|engines", "[MODEL|DATA]...", "--variant", "--batch-size", "--image-size", "--recipe",
              "--dtype", "--native"],
    "doctor": [],
    "completion": ["bash|zsh"],
}  # fmt: skip


def imports(source: str) -> set[str]:
    """Rooms that a source text imports, in functions too."""
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


def sources() -> dict[str, list[str]]:
    """The source texts of every room."""
    rooms = {}
    for path in sorted(SOURCE.rglob("*.py")):
        room = path.relative_to(SOURCE).with_suffix("").parts[0]
        rooms.setdefault(room, []).append(path.read_text())
    return rooms


def violations(rooms: dict[str, list[str]]) -> list[str]:
    allowed, left = {}, set()
    for group in ROOMS.split("|"):
        allowed |= dict.fromkeys(group.split(), frozenset(left))
        left |= set(group.split())
    return [
        f"{room} imports {other}"
        for room, texts in rooms.items()
        if room not in DOORS
        for text in texts
        for other in imports(text) - allowed[room] - {room}
    ]


@pytest.mark.once
def test_a_room_imports_only_rooms_to_its_left():
    assert sources().keys() <= DOORS | set(ROOMS.replace("|", "").split())
    assert violations(sources()) == []


@pytest.mark.once
def test_the_map_of_the_folders_is_what_they_say_of_themselves():
    names = ROOMS.replace("|", "").split()
    files = [SOURCE / name / "__init__.py" if (SOURCE / name).is_dir() else SOURCE / f"{name}.py" for name in names]
    rows = []
    for name, file in zip(names, files, strict=True):
        ending = "/" if file.stem == "__init__" else ".py"
        rows.append(f"| `{name}{ending}` | " + file.read_text().splitlines()[0].strip('"') + " |")
    assert re.findall(r"^\| `\w+(?:/|\.py)` \| .+ \|$", CONTRIBUTING, re.MULTILINE) == rows


@pytest.mark.once
def test_the_guard_above_can_fail():
    assert violations({"layers": ["def f():\n    from resnext.model.network import ResNeXt"]}) == [
        "layers imports model"
    ]
    assert violations({"data": ["from ..training import train"]}) == ["data imports training"]
    assert violations({"weights": ["import resnext.recipes.names"]}) == ["weights imports recipes"]


def top_level_imports(source: str) -> set[str]:
    """Modules that are imported when the source text is."""
    modules = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module or "")
    return modules


def imports_keras(path: Path) -> bool:
    """Whether importing the file imports Keras, by itself or by a file that does."""
    modules = top_level_imports(path.read_text())
    files = {module.removeprefix("resnext.").replace(".", "/") for module in modules if module.startswith("resnext.")}
    return any(module.split(".")[0] == "keras" for module in modules) or any(
        f"{file}.py".startswith(KERAS_AT_THE_TOP) for file in files
    )


@pytest.mark.once
def test_keras_is_imported_at_the_top_in_its_rooms_only():
    found = {path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if imports_keras(path)}
    assert {file for file in found if not file.startswith(KERAS_AT_THE_TOP)} == set()
    assert "model/network.py" in found  # the guard can fail


@pytest.mark.once
def test_the_verbs_are_there_without_keras():
    names = "train resume evaluate predict compare preview check_data convert complexity get_recipe list_weights"
    code = f"import sys; from resnext import {', '.join(names.split())}; sys.exit('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


@pytest.mark.once
def test_no_import_gives_the_root_logger_a_handler():
    """absl does with its first line: then a server would print what strangers send it."""
    code = (
        "import logging, sys; sys.modules['jax'] = None; "  # as where it is not installed, and grain warns
        "import resnext.cli.main, resnext.data.batches as batches; batches._grain(); "
        "sys.exit(bool(logging.getLogger().handlers))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def imported_files(path: Path) -> set[Path]:
    """Files of the package that a file imports, in functions and for annotations, too."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
    files = {SOURCE.parent / f"{module.replace('.', '/')}.py" for module in modules if module.startswith("resnext.")}
    return {file for file in files if file.exists()}


def circle(arrows: dict[Path, set[Path]]) -> list[str]:
    """The files that are left when those that import none of the others are taken away again and again."""
    left = {file: others & arrows.keys() for file, others in arrows.items()}
    while free := [file for file, others in left.items() if not others & left.keys()]:
        for file in free:
            del left[file]
    return sorted(file.name for file in left)


@pytest.mark.once
def test_no_files_import_each_other_in_a_circle():
    assert circle({file: imported_files(file) for file in SOURCE.rglob("*.py") if file.stem != "__init__"}) == []
    one, two, three = Path("one"), Path("two"), Path("three")
    assert circle({one: {two}, two: {one}, three: set()}) == ["one", "two"]  # the guard can fail


def calls(path: Path) -> set[str]:
    """The functions that a file calls by their dotted names."""
    return {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}


@pytest.mark.once
def test_only_the_command_line_prints_and_ends_the_process():
    """Everything else logs, and raises; `warnings.warn` is for what a programmer should change."""
    doors = ("cli/", "__main__.py", "log.py")
    found = {
        (path.relative_to(SOURCE).as_posix(), name)
        for path in SOURCE.rglob("*.py")
        for name in calls(path) & {"print", "os._exit", "sys.exit", "warnings.warn", "logging.basicConfig"}
    }
    assert {(file, name) for file, name in found if not file.startswith(doors)} == {
        ("model/network.py", "warnings.warn")
    }
    assert {file for file, name in found if name == "os._exit"} == {"cli/interrupts.py", "__main__.py"}


@pytest.mark.once
def test_functions_fit_a_screen():
    """Lines of code with the signature, without docstring and comments: none above 45, fewer than twenty above 35."""
    lengths = {}
    for path in SOURCE.rglob("*.py"):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lines = text.splitlines()
                signature = lines[node.lineno - 1 : node.body[0].lineno - 1]
                inside = signature + (lines[body[0].lineno - 1 : body[-1].end_lineno] if body else [])
                code = [line for line in inside if line.strip() and not line.strip().startswith("#")]
                lengths[f"{path.name}:{node.name}"] = len(code)
    assert max(lengths.values()) <= 45
    assert sum(length > 35 for length in lengths.values()) < 20


@pytest.mark.once
def test_only_the_chosen_backend_computes():
    """Keras itself looks for TensorFlow where it is installed; we must not."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
                assert not {name.split(".")[0] for name in names} & {"tensorflow", "jax", "torch"}, path


@pytest.mark.once
def test_public_names_are_frozen():
    assert set(package.__all__) == PUBLIC
    for name in PUBLIC:
        assert callable(getattr(package, name)) or name in ("errors", "lineage")
        assert name in dir(package)
        assert getattr(package, name).__doc__
    with pytest.raises(AttributeError, match="module 'resnext' has no attribute 'nothing'"):
        package.nothing  # noqa: B018


@pytest.mark.once
def test_commands_and_options_are_frozen():
    text = resnext("--help").stdout
    assert all(command in text for command in COMMANDS)
    started = {command: Command(command, "--help") for command in COMMANDS}
    for command, options in COMMANDS.items():
        words = started[command].wait().stdout.replace("│", " ").split()
        named = dict.fromkeys(words)  # a short command's usage line has them, too
        given = [word.rstrip(",") for word in named if word.startswith("--") and word != "--help"]
        given = [word for word in dict.fromkeys(given) if not word.startswith("--no-")]
        common = {"serve": COMMON[1:], "completion": []}.get(command, COMMON)
        assert sorted(given) == sorted({*[option for option in options if option.startswith("--")], *common})
        assert {option for option in options if not option.startswith("--")} <= set(words)


@pytest.mark.once
def test_configuration_of_a_run_is_frozen():
    from resnext.recipes.complete import complete
    from resnext.recipes.names import get_recipe
    from resnext.recipes.recipe import Recipe, evaluation_preprocessing
    from resnext.runs.config import RunConfig, TrainingOptions
    from resnext.variants.names import get_variant

    recipe = complete(get_recipe("photos"), images=200, evaluated=40, image_size=32)
    config = RunConfig(
        get_variant("resnext11_2x4d"),
        ("a", "b"),
        evaluation_preprocessing(recipe),
        recipe,
        "photos",
        TrainingOptions(),
        {},
    )
    document = config.to_json()
    assert list(document) == [
        "variant", "classes", "preprocessing", "recipe", "data", "chosen_classes", "weights", "seed", "dtype",
        "form", "shortcut",
        "remat", "skip_bad", "follow_links", "held_out", "folds", "fold", "group_by", "train_share", "log",
        "checkpoint_every",
        "keep_every", "versions", "labels",
    ]  # fmt: skip
    assert RunConfig.from_json(document) == config
    fields = [f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(Recipe)]
    assert fields == ["--name", *SETTINGS[1:]]


@pytest.mark.once
def test_version_is_one_fact_in_two_places():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert project["version"] == package.__version__
