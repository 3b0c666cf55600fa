"""What `resnext` says without a command, and for words that are commands elsewhere."""

from __future__ import annotations

from resnext.files import user_path
from resnext.images.decode import IMAGE_SUFFIXES
from resnext.inference.misplaced import MODELS
from resnext.runs.run import is_run

OVERVIEW = """ResNeXt for Keras 3: build, train, evaluate and use it.

  resnext train photos --out runs/first       train a network on a folder of class folders
  resnext evaluate runs/first                 how good it is, with intervals
  resnext predict runs/first photo.jpg        what it sees
  resnext serve runs/first                    a page, and an interface for programs

Train:     {train}
Use:       {use}
Networks and this machine:  {networks}

resnext COMMAND --help explains a command.
"""
GROUPS = {
    "train": ("train", "compare", "recipes", "preview", "check-data"),
    "use": ("evaluate", "predict", "explain", "export", "serve"),
    "networks": ("list", "info", "convert", "bench", "doctor", "completion"),
}
# What commands are called elsewhere, by what they are called here.
SYNONYMS = {
    "fit": "train DATA", "finetune": "train DATA --weights RUN", "fine-tune": "train DATA --weights RUN",
    "resume": "train --resume RUN", "continue": "train --resume RUN", "val": "evaluate MODEL",
    "eval": "evaluate MODEL", "validate": "evaluate MODEL", "test": "evaluate MODEL", "score": "evaluate MODEL",
    "infer": "predict MODEL IMAGE...", "inference": "predict MODEL IMAGE...", "classify": "predict MODEL IMAGE...",
    "cam": "explain MODEL IMAGE...", "gradcam": "explain MODEL IMAGE...", "heatmap": "explain MODEL IMAGE...",
    "models": "list", "variants": "list", "weights": "list --weights", "download": "info TAG",
    "summary": "info NETWORK", "diff": "compare RUN RUN", "check": "check-data DATA", "augment": "preview DATA",
    "benchmark": "bench", "deploy": "serve MODEL", "onnx": "export MODEL --out FILE.onnx",
    "quantize": "export MODEL --out FILE.onnx --dtype int8",
}  # fmt: skip


def example_for(word: str) -> str:
    """Return a space and a sentence with the command for a path that stands in its place; "" for other words."""
    path = user_path(word)
    if not path.exists():
        return ""
    command = f"predict MODEL {word}" if path.suffix.lower() in IMAGE_SUFFIXES else f"train {word}"
    command = f"predict {word} IMAGE..." if is_run(path) or path.suffix in MODELS else command
    return f" The command comes first: resnext {command}."


def overview() -> str:
    """Return four example lines, and the commands in groups."""
    return OVERVIEW.format(**{group: ", ".join(names) for group, names in GROUPS.items()})
