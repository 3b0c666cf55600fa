"""A small network and a quick recipe, where what is tested is the run."""

import dataclasses
import json
import shutil
from pathlib import Path

from resnext.recipes.names import get_recipe

TINY = "resnet8"  # three basic blocks: what is tested is the run, not the network
QUICK = dataclasses.replace(get_recipe("photos"), image_size=24, epochs=3, batch_size=8, learning_rate=0.003)


def copy_of(folder: Path, to: Path) -> Path:
    """Copy a run without its checkpoints and pictures, to be spoiled."""
    return Path(shutil.copytree(folder, to, ignore=shutil.ignore_patterns("checkpoints", "*.png")))


def config_of(folder: Path) -> dict:
    """Return the configuration of a run as earlier versions wrote it: without checksums, so that it can be changed."""
    document = json.loads((folder / "config.json").read_text())
    return {name: value for name, value in document.items() if name not in ("sha256", "held_out_sha256")}


def change_config(folder: Path, **changes) -> None:
    """Change the configuration of a run."""
    (folder / "config.json").write_text(json.dumps({**config_of(folder), **changes}))


def records_of(folder: Path) -> list[dict]:
    """Return the rows of a run's metrics without checksums."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "crc32"} for row in rows]


def change_records(folder: Path, rows: list[dict]) -> None:
    """Replace the rows of a run's metrics."""
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
