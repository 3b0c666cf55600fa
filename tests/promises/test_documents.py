"""The pages name only what exists: files, headings, commands, options, Python names, tests, measured numbers.

Not docs/decisions.md and CHANGELOG.md, whose entries are dated and may name what is gone.
"""

import ast
import functools
import importlib
import json
import re
import statistics
import sys
import textwrap
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import tyro

import resnext
from resnext.cli.command_line import CommandLine
from resnext.cli.main import commands
from support.places import REPOSITORY

pytestmark = pytest.mark.once

PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    *(page for page in sorted((REPOSITORY / "docs").glob("*.md")) if page.name != "decisions.md"),
]
on_every_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)

ROOTS = ("tests/", "benchmarks/", "docs/", "resnext/", "examples/")  # words that begin so are files of the repository
NOT_PYTHON = {"resnext.json"}  # a file in what `resnext export` writes, though it looks like an attribute
OTHER_PROGRAMS = ("ovms", "tritonserver")  # servers by Intel and NVIDIA: nothing here knows their options

FENCE = re.compile(r"^( *)(```+|~~~+) *(\w*).*?\n(.*?)^\1\2 *$\n?", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?<=\n\n)(?: {4}.*\n)+")
SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
PATH = re.compile(r"[\w.*-]+(?:/[\w.*-]+)*/?")
SHELL = ("", "bash", "console", "dockerfile", "ini", "sh", "shell", "yaml")  # blocks that may have commands
COMMAND = re.compile(r"(?:^|[|;&] *|\b[A-Z_]+=\S+ +|\b(?:srun|exec|time) +|/bin/)resnext +([^|;&>]*)")


@dataclass(frozen=True)
class Page:
    """The parts of a Markdown text: code in blocks, by kind; code in backticks; the text without all of it."""

    python: list[str]
    shell: list[str]  # lines, without comments
    comments: list[str]  # of the shell lines
    spans: list[str]
    prose: str


def parsed(text: str) -> Page:
    python, shell, comments = [], [], []
    rest = FENCE.sub("\n", text)
    blocks = [(block[3], textwrap.dedent(block[4])) for block in FENCE.finditer(text)]
    blocks += [("", textwrap.dedent(block[0])) for block in INDENTED.finditer(rest)]
    for language, block in blocks:
        if language == "python":
            python.append(block)
        elif language in SHELL:
            for line in block.replace("\\\n", " ").splitlines():
                code, _, comment = re.sub(r"(^|\s)# ", r"\1\0", line).partition("\0")
                shell.append(code.strip().removeprefix("$ "))
                comments.append(comment)
    spans = []
    for paragraph in re.sub(r"^ *(```|~~~).*$", "\n", text, flags=re.MULTILINE).split("\n\n"):  # also in comments
        spans += [" ".join(span[2].replace("\\|", "|").split()) for span in SPAN.finditer(paragraph)]
    prose = "\n\n".join(SPAN.sub("", paragraph) for paragraph in INDENTED.sub("\n", rest).split("\n\n"))
    return Page(python, shell, comments, spans, prose)


def read(path: Path) -> Page:
    return parsed(path.read_text(encoding="utf-8"))


# Links


def headings(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a page, and those that the page itself sets."""
    seen, anchors = Counter(), set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text))
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", FENCE.sub("", text), re.MULTILINE):
        words = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()  # a link counts as its text
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        anchors.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return anchors


def targets(page: Page) -> list[str]:
    """What the links and images of a page point to, other than addresses of the web."""
    found = re.findall(r"\]\(\s*<?([^)\s>]+)[^)]*\)", page.prose)
    found += re.findall(r"^ *\[[^\]]+\]: *(\S+)", page.prose, re.MULTILINE)
    found += re.findall(r"<[^>]*\b(?:src|srcset|href)=\"([^\"\s]+)", page.prose)
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def dead_links(path: Path, text: str) -> list[str]:
    dead = []
    for target in targets(parsed(text)):
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        if name and not (file.exists() and file.resolve().is_relative_to(REPOSITORY)):
            dead.append(f"{target}: no such file")
        elif anchor and file.suffix == ".md":
            other = file.read_text(encoding="utf-8") if name else text
            dead += [] if anchor in headings(other) else [f"{target}: no such heading"]
    return dead


@on_every_page
def test_links_lead_somewhere(path):
    assert dead_links(path, path.read_text(encoding="utf-8")) == []


# Files


def missing_files(page: Page) -> list[str]:
    """Words in code that name a file of the repository, or of the package, or any file `name.py`, and name none."""
    missing = []
    for word in " ".join([*page.spans, *page.shell]).split():
        name = word.strip("'\"(),;:").partition("::")[0]
        placeholder = re.search(r"[A-Z]{2,}", name.replace("README", ""))
        if placeholder or not PATH.fullmatch(name) or not (name.startswith(ROOTS) or name.endswith(".py")):
            continue
        found = any(any(place.glob(name.rstrip("/"))) for place in (REPOSITORY, REPOSITORY / "resnext"))
        if not found and "/" not in name:
            found = any(any((REPOSITORY / root).rglob(name)) for root in ROOTS)
        if not found:
            missing.append(name)
    return missing


@on_every_page
def test_files_exist(path):
    assert missing_files(read(path)) == []


# Commands and options


@functools.cache
def options() -> dict[str, set[str]]:
    """The options of every command, from its parser."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # tyro has no other way to look at a parser
        parsers = {name: tyro.extras.get_parser(command) for name, command in commands(CommandLine([])).items()}
    return {name: {*parser._option_string_actions} for name, parser in parsers.items()}


def named_options(words: str) -> list[str]:
    return re.findall(r"(?<![\w=/-])--[a-z][\w-]*", words)


def unknown_in_command(words: str) -> list[str]:
    """What the words after `resnext` name that is not there."""
    name = words.split()[0] if words.split() else ""
    if name in options():
        return [f"resnext {name} {option}" for option in named_options(words) if option not in options()[name]]
    return [] if name in ("", "--help", "--version") else [f"resnext {name}"]


def unknown_options(words: str) -> list[str]:
    """Options that no command has."""
    return [option for option in named_options(words) if not any(option in known for known in options().values())]


def unknown_in_other(words: str) -> list[str]:
    """What `python benchmarks/NAME.py ...` and `make TARGET` name that is not there."""
    unknown = []
    for script, rest in re.findall(r"\bpython ((?:benchmarks|examples)/\w+\.py)([^|;&>]*)", words):
        file = REPOSITORY / script
        text = file.read_text(encoding="utf-8") if file.exists() else ""  # missing files have a test of their own
        unknown += [f"{script} {option}" for option in named_options(rest) if f'add_argument("{option}"' not in text]
    if made := re.match(r"make ([a-z][\w-]*)", words):
        known = re.search(rf"^{made[1]}:", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
        unknown += [] if known else [f"make {made[1]}"]
    return unknown


def unknown_commands(page: Page) -> list[str]:
    unknown = [option for comment in page.comments for option in unknown_options(comment)]
    for code in [*page.shell, *page.spans]:
        unknown += [each for words in COMMAND.findall(code) for each in unknown_in_command(words)]
        unknown += unknown_in_other(code)
    for span in page.spans:
        first = span.split()[0]
        if first in options() and named_options(span):
            unknown += unknown_in_command(span)
        elif not re.match(r"(?:[A-Z_]+=\S+ )*(?:resnext|\S*python|make|pip) ", span) and first not in OTHER_PROGRAMS:
            unknown += unknown_options(span)
    return unknown


@on_every_page
def test_commands_and_their_options_exist(path):
    assert unknown_commands(read(path)) == []


# Python


def names_in_python(block: str) -> set[str]:
    """The dotted names of resnext that a block of Python uses or imports."""
    names = set()
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.Attribute) and re.match(r"resnext[.\w]*$", ast.unparse(node)):
            names.add(ast.unparse(node))
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name.split(".")[0] == "resnext"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "resnext":
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def exists(name: str) -> bool:
    """Whether a dotted name is a module or its attribute."""
    first, *rest = name.split(".")
    if len(rest) == 1 and rest[0] in resnext.__all__:
        return True  # tests/promises/test_architecture.py gets all of these; some would import Keras here
    found, at = importlib.import_module(first), first
    for part in rest:
        at = f"{at}.{part}"
        try:
            found = getattr(found, part) if hasattr(found, part) else importlib.import_module(at)
        except ModuleNotFoundError:
            return False
    return True


def unknown_names(page: Page) -> list[str]:
    names = {name for block in page.python for name in names_in_python(block)}
    for span in page.spans:
        names |= set(re.findall(r"(?<![\w./\"'-])resnext(?:\.[A-Za-z_]\w*)+", span))
    return [name for name in sorted(names - NOT_PYTHON) if not exists(name)]


@on_every_page
def test_python_names_exist(path):
    assert unknown_names(read(path)) == []


# Tests


@functools.cache
def defined_in(file: Path) -> set[str]:
    return set(re.findall(r"^ *def (test_\w+)\(", file.read_text(encoding="utf-8"), re.MULTILINE))


def unknown_tests(page: Page, text: str) -> list[str]:
    """Tests that are nowhere, or not in the file that the page names after them."""
    files = {
        file.relative_to(REPOSITORY).as_posix(): defined_in(file) for file in (REPOSITORY / "tests").rglob("test_*.py")
    }
    everywhere = set().union(*files.values())
    named = [found[1] for span in page.spans if (found := re.fullmatch(r"(?:\S+::)?(test_\w+)(?:\(\))?", span))]
    placed = re.findall(r"`(test_\w+)`\s+in\s+`(tests/[\w/.]+\.py)`", text)
    placed += [(test, file) for file, test in re.findall(r"`(tests/[\w/.]+\.py)::(test_\w+)", text)]
    unknown = [name for name in named if name not in everywhere]
    return unknown + [f"{name} in {file}" for name, file in placed if name not in files.get(file, ())]


@on_every_page
def test_tests_exist(path):
    assert unknown_tests(read(path), path.read_text(encoding="utf-8")) == []


# Numbers


@functools.cache
def table() -> ModuleType:
    """benchmarks/table.py, which writes the tables, and is in no package."""
    sys.path.insert(0, str(REPOSITORY / "benchmarks"))
    try:
        return importlib.import_module("table")
    finally:
        sys.path.pop(0)


@functools.cache
def measured(name: str) -> dict:
    return json.loads((REPOSITORY / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["step", "gpu"])
def test_the_tables_of_speed_are_those_of_the_json(name):
    """If it fails: python benchmarks/table.py"""
    document = measured(name)
    page = (REPOSITORY / "docs" / "performance.md").read_text(encoding="utf-8")
    [(head, rows)] = re.findall(rf"<!-- {name} -->\n([^\n]+)\n\n(.+?)\n<!-- end -->", page, re.DOTALL)
    assert rows == table().step_table(document)
    assert head == f"{document['machine']}; {document['date']}; `python {document['command']}`"


def ratio(task: str, baseline: str) -> str:
    """The median of a duel in step.json, whose contenders are named as in the table of docs/performance.md."""
    for duel in measured("step")["duels"]:
        if (table().title(duel["task"]), table().title(duel["baseline"])) == (task, baseline):
            return f"{duel['ratio'][0]:.2f}"
    raise LookupError(f"step.json has no {task} against {baseline}")


def over_torchvision(system: str, *steps: str) -> list[str]:
    return [ratio(f"{system} {step}", f"torchvision {step}") for step in steps]


def over_timm(backend: str, mode: str = "train", compiled: bool = False) -> float:
    """The median of a duel in gpu.json with timm, as it comes or compiled."""
    for duel in measured("gpu")["duels"]:
        task, baseline = duel["task"], duel["baseline"]
        of_timm = baseline["system"] == "timm" and bool(baseline.get("compile")) == compiled
        if of_timm and (task.get("backend"), task["mode"]) == (backend, mode):
            return duel["ratio"][0]
    raise LookupError(f"gpu.json has no {backend} {mode} against timm")


def of_small_set(name: str) -> list[str]:
    """The accuracy of the five seeds, with the lowest and the highest, and their mean time."""
    found = measured("small_sets")["sets"][name]
    shares, seconds = [100 * share for share in found["top1"]], round(statistics.mean(found["seconds"]))
    spread = f"{statistics.mean(shares):.1f} % ({min(shares):.1f} to {max(shares):.1f})"
    return [spread, f"{seconds // 60} min {seconds % 60} s"]


STEPS = ("train float32", "train bfloat16", "infer float32", "infer bfloat16")
# A regular expression for README.md, in which a space is any white space and the groups are the numbers; and the
# function that returns these from the JSON.
NUMBERS_OF_README = {
    "hand signs": (
        r"^\| hand signs, 1,722 \+ 340 photos, five seeds \| `resnext train DATA` \| (.+?) \| (.+?) \|$",
        lambda: of_small_set("all photos"),
    ),
    "20 photos of each sign": (
        r"^\| the first 20 photos of each of the ten signs, likewise \| `resnext train DATA` \| (.+?) \| (.+?) \|$",
        lambda: of_small_set("20 photos of each class"),
    ),
    "TensorFlow": (
        r"^\| TensorFlow \| (\S+) \| (\S+) \| (\S+) \| (\S+) \|$",
        lambda: over_torchvision("resnext (TensorFlow)", *STEPS),
    ),
    "PyTorch": (
        r"^\| PyTorch \| (\S+) \| (\S+) \| (\S+) \| (\S+) \|$",
        lambda: over_torchvision("resnext (PyTorch)", *STEPS),
    ),
    "JAX": (
        r"^\| JAX \| (\S+) \| (\S+) \| (\S+) \| (\S+) \|$",
        lambda: over_torchvision("resnext (JAX)", *STEPS),
    ),
    "torch.compile": (
        r"^\| torchvision, compiled \| (\S+) \| \| (\S+) \| \|$",
        lambda: over_torchvision("torchvision compile", "train float32", "infer float32"),
    ),
    "OpenVINO": (
        r"^\| torchvision in OpenVINO \| \| \| (\S+) \| (\S+) \|$",
        lambda: over_torchvision("openvino", "infer float32", "infer bfloat16"),
    ),
    "JAX on the H200": (
        r"^\| JAX on the H200, as the command trains \(calculated\) \| \| (\S+), compiled (\S+) \| \| \|$",
        # The additions in the same order take 40.5 / 33.5 of the time: docs/performance.md.
        lambda: [f"{over_timm('jax', compiled=compiled) * 33.5 / 40.5:.2f}" for compiled in (False, True)],
    ),
    "PyTorch on the H200": (
        r"^\| PyTorch on the H200 \| \| (\S+), compiled (\S+) \| \| (\S+) \|$",
        lambda: [
            f"{ratio:.2f}"
            for ratio in (over_timm("torch"), over_timm("torch", compiled=True), over_timm("torch", "infer"))
        ],
    ),
}


@pytest.mark.parametrize("name", NUMBERS_OF_README)
def test_readmes_numbers_are_those_of_the_json(name):
    pattern, numbers = NUMBERS_OF_README[name]
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    found = re.search(pattern.replace(" ", r"\s+"), text, re.MULTILINE)
    assert found, f"README.md has no line for {name}: change or remove its row in NUMBERS_OF_README"
    assert list(found.groups()) == numbers()


def rows_of_small_sets() -> list[str]:
    """The accuracy and the seconds of each set, as docs/results.md has them."""
    rows = []
    for found in measured("small_sets")["sets"].values():
        shares, seconds = [100 * share for share in found["top1"]], found["seconds"]
        rows.append(
            f"| {statistics.mean(shares):.1f} % ({min(shares):.1f} to {max(shares):.1f}) | "
            f"{statistics.mean(seconds):.0f} ({min(seconds):.0f} to {max(seconds):.0f}) |"
        )
    return rows


def rows_of_lineage() -> list[str]:
    """The rows of the networks on a share of CIFAR-10."""
    networks = measured("lineage")["networks"]
    return [f"| {100 * each['top1']:.2f} % | {each['seconds']:.0f} |" for each in networks.values()]


def rows_of_forms() -> list[str]:
    """The cells of the table of forms: images per second over those of form c."""
    return [
        "**{:.2f}** ({:.2f}, {:.2f})".format(*duel["ratio"])
        for backend in ("tensorflow", "torch", "jax")
        for duel in measured(f"forms_{backend}")["duels"]
    ]


@pytest.mark.parametrize(
    ("page", "rows"), [("results", rows_of_small_sets), ("results", rows_of_lineage), ("forms", rows_of_forms)]
)
def test_tables_of_pages_are_those_of_the_json(page, rows):
    text = (REPOSITORY / "docs" / f"{page}.md").read_text(encoding="utf-8")
    assert [row for row in rows() if row not in text] == []


# The guards themselves

BROKEN = """# A page

## Two words, and `code`

[right](#two-words-and-code) [wrong](#two-words) [gone](gone.md) ![gone](gone.png) `[not a link](nowhere.md)`
[elsewhere](docs/training.md#recipes) [wrong](docs/training.md#recipe)

`resnext/gone.py`, `resnext/layers/*.py`, `gone.py`, `images/decode.py`, `to_NAME.py`, `runs/gone.py/config.json`

```
KERAS_BACKEND=jax resnext train DATA \\
    --epoch 3 --epochs 3   # or --gone
$ resnext evaluates runs/first
find | resnext predict runs/first - --embedding x
python benchmarks/step.py --rounds 3 --turns 3
make gone
```

`predict --raw`, `--seeds 3`, `ovms --config_path x`, `resnext
bench engines --native --natives`

```python
import resnext
from resnext.errors import DataError, GoneError

resnext.train("x").gone
resnext.errors.DataError, resnext.trains
```

`resnext.Model.open(...)`, `resnext.Model.shut`, `resnext.images.decode`, `resnext.json`

`test_files_exist`, `test_gone`, `test_files_exist` in `tests/test_log.py`
"""


def test_the_guards_above_can_fail():
    page = parsed(BROKEN)
    assert dead_links(REPOSITORY / "BROKEN.md", BROKEN) == [
        "#two-words: no such heading", "gone.md: no such file", "gone.png: no such file",
        "docs/training.md#recipe: no such heading",
    ]  # fmt: skip
    assert missing_files(page) == ["resnext/gone.py", "gone.py"]
    assert unknown_commands(page) == [
        "--gone", "resnext train --epoch", "resnext evaluates", "resnext predict --embedding",
        "benchmarks/step.py --turns", "make gone", "resnext bench --natives", "resnext predict --raw", "--seeds",
    ]  # fmt: skip
    assert unknown_names(page) == ["resnext.Model.shut", "resnext.errors.GoneError", "resnext.trains"]
    assert unknown_tests(page, BROKEN) == ["test_gone", "test_files_exist in tests/test_log.py"]
