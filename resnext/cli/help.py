"""The help of a command: what it is for, an example, its options in groups with readable defaults, its statuses."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import tyro

from resnext.cli.known import in_order

WIDEST, INDENT = 100, 26  # columns of the text, and of the names before it
COMMON = ("--format", "--config", "--quiet", "--help")
EXAMPLES = {
    "list": "resnext list 'resnext101*' --weights",
    "info": "resnext info resnext50_32x4d",
    "recipes": "resnext recipes",
    "train": "resnext train photos --epochs 30 --out runs/first",
    "evaluate": "resnext evaluate runs/first --out results",
    "compare": "resnext compare runs/first runs/second --out curves.png",
    "predict": "resnext predict runs/first 'photos/*.jpg' --out answers.csv",
    "explain": "resnext explain runs/first photo.jpg",
    "export": "resnext export runs/first network.onnx",
    "serve": "resnext serve runs/first --port 8080",
    "check-data": "resnext check-data photos",
    "convert": "resnext convert runs/first --to timm --out weights.pth",
    "preview": "resnext preview photos --recipe photos",
    "bench": "resnext bench engines runs/first photos",
    "doctor": "resnext doctor",
    "completion": "source <(resnext completion bash)",
}
# The options of `train` and `preview`, what most people need first.
GROUPS = {
    "What to train": "out variant weights recipe epochs batch-size learning-rate image-size resume like",
    "Images": (
        "held-out folds fold group-by classes train-share skip-bad follow-links seed channels fit test-size test-crop "
        "interpolation mean std sampling class-weights repeats"
    ),
    "Augmentation": (
        "crop crop-area pad flip vertical-flip rotate color-jitter hue lighting greyscale blur rand-augment "
        "trivial-augment erasing mixup cutmix label-smoothing"
    ),
    "Optimization": (
        "optimizer momentum nesterov weight-decay decay-all schedule steps final-rate warmup-epochs warmup-start "
        "clip-norm loss focal ema drop-path zero-gamma freeze layer-decay best-by patience evaluate-every"
    ),
    "Machine and files": "device workers dtype form shortcut remat accumulate checkpoint-every keep-every log",
}
STATUSES = (
    "Exit status: 0 done, 1 what was passed can't be used, 2 the command line is refused, 73 the output can't be "
    "written; docs/reliability.md has all of them."
)
NONE = r"[;.] None: "  # in the text of an option: what is done without a value
METAVARS = {"INT": "N", "FLOAT": "X", "STR": "NAME", "PATH": "PATH"}


def help_of(command: str, function: Callable[..., None]) -> str:
    """Return the help of a command."""
    actions = tyro.extras.get_parser(function)._actions
    words = [action for action in actions if not action.option_strings]
    options = {action.option_strings[-1 if "--help" in action.option_strings else 0]: action for action in actions
               if action.option_strings}  # fmt: skip
    width = min(WIDEST, shutil.get_terminal_size().columns)
    lines = [f"usage: resnext {' '.join([command, *map(_word, words)])} [OPTIONS]", ""]
    lines += textwrap.wrap(" ".join((function.__doc__ or "").split("\n\n")[0].split()), width)
    lines += ["", f"example: {EXAMPLES[command]}", ""]
    lines += [line for word in words for line in _entry(word.metavar, word.help, width)]
    lines += [""] if words else []
    for title, names in _groups(options):
        lines += [f"{title}:"]
        lines += [line for name in names for line in _entry(_name(options[name]), _text(options[name]), width)]
        lines += [""]
    return "\n".join([*lines, *textwrap.wrap(STATUSES, width)]) + "\n"


def _word(action: Any) -> str:
    """Return the name of a word without an option, in brackets if it may be left out."""
    return f"[{action.metavar}]" if action.nargs == "?" else action.metavar


def _groups(options: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield the titles of groups and the options in each; those of every command come last."""
    left = [name for name in options if name not in COMMON]
    if "--erasing" in options:
        for title, names in GROUPS.items():
            found = [f"--{name}" for name in names.split() if f"--{name}" in left]
            left = [name for name in left if name not in found]
            if found:
                yield title, found
    if left:
        yield "Options", left
    common = [name for name in COMMON if name in options]
    yield "In every command" if len(common) > 1 else "Options", common


def _name(action: Any) -> str:
    """Return an option with what it takes: --epochs N."""
    names = ", ".join(action.option_strings)
    if action.nargs == 0:
        return names
    if action.choices:
        return f"{names} {'|'.join(in_order(action.choices))}"
    metavar = str(action.metavar).replace("{None}|", "").replace("{None},", "")
    several, count = metavar.startswith("["), max(1, len(metavar.split()))
    metavar = next((METAVARS[kind] for kind in METAVARS if re.search(rf"\b{kind}\b", metavar)), metavar.strip("{}"))
    many = " ..." if several or action.nargs == "*" else f" {metavar}" * (count - 1)
    return f"{names} {metavar}{many}"


def _text(action: Any) -> str:
    """Return what an option is for, with a readable default.

    A text that says "by default ..." has its default; "None: ..." says what is done then.
    """
    text = " ".join((action.help or "").split())
    text, _, default = text.partition(" (default: ")
    default = default.rstrip(")")
    text = text.removesuffix(".")
    text = re.sub(NONE, "; by default ", text) if default == "None" else re.sub(rf"{NONE}[^.]*", "", text)
    if action.nargs == 0 or "by default" in text or default in ("None", "", "False"):
        is_on = action.nargs == 0 and default == "True"
        return f"{text} [on]" if is_on else text
    return f"{text} [{default.strip(chr(39))}]"


def _entry(name: str, text: str, width: int) -> Iterable[str]:
    """Return the lines of a word or an option, with its text beside it, or below a long name."""
    text = re.sub(r" \((required|default: .*)\)$", "", " ".join((text or "").split())).removesuffix(".")
    wrapped = textwrap.wrap(text, width - INDENT, break_on_hyphens=False) or [""]
    if len(name) + 4 > INDENT:
        return [f"  {name}", *(" " * INDENT + line for line in wrapped)]
    return [f"  {name}".ljust(INDENT) + wrapped[0], *(" " * INDENT + line for line in wrapped[1:])]
