"""What the shortest command makes of small sets of photos: accuracy and time over several seeds.

    python benchmarks/small_sets.py sign-digits --out runs/small --seeds 5

Cuts the first photos of each class, in the order of their names, out of `sign-digits/train`: 20 of each class, 40 of
each of the first three classes, and all. All photos of these classes in `sign-digits/test` are evaluated. Each is
trained by `resnext train SET --seed SEED` with nothing else. What is finished is not trained again, and what was
interrupted is resumed.
"""

import argparse
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from duel import HERE, write_result

from resnext import Run
from resnext.inference.evaluate import evaluate
from resnext.runs.run import is_run

SETS = {"20 photos of each class": (None, 20), "40 photos of three classes": (3, 40), "all photos": (None, None)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    sets = {}
    for name, (classes, photos) in SETS.items():
        folder = cut(arguments.data, arguments.out / name.replace(" ", "-"), classes, photos)
        runs = [trained(folder, arguments.out / f"{folder.name}-seed{seed}", seed) for seed in range(arguments.seeds)]
        accuracies = [evaluate(run.folder, folder, weights="last").top(1) for run in runs]
        sets[name] = {"top1": accuracies, "seconds": [run.history.seconds for run in runs]}
        versions = {package: version(package) for package in ("resnext", "keras")}
        write_result(HERE / "results" / "small_sets.json", {"versions": versions, "sets": sets})


def cut(data: Path, folder: Path, classes: int | None, photos: int | None) -> Path:
    """Link the chosen photos into a folder of their own."""
    for name in sorted(path.name for path in (data / "train").iterdir())[:classes]:
        for part, most in (("train", photos), ("test", None)):
            (folder / part / name).mkdir(parents=True, exist_ok=True)
            for file in sorted((data / part / name).iterdir())[:most]:
                copy = folder / part / name / file.name
                if not copy.exists():
                    os.link(file, copy)
    return folder


def trained(folder: Path, out: Path, seed: int) -> Run:
    again = ["--resume", out] if is_run(out) else [folder, "--seed", str(seed), "--out", out]
    subprocess.run([sys.executable, "-m", "resnext", "train", *again], check=True, stdout=subprocess.DEVNULL)
    return Run.open(out)


if __name__ == "__main__":
    main()
