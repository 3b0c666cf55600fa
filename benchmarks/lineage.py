"""What the networks of the lineage learn of a share of CIFAR-10: the seed's and taki0112's, by their own recipes.

    python benchmarks/lineage.py cifar10 --out runs/lineage

Links the first training images of each class, in the order of their names (500 for the seed's network, and 200 for the
other, which is slower) and the first 50 test images, and trains each network once. What is finished is not trained
again, and what was interrupted is resumed.
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

TEST = 50  # images of each class
# Training images of each class, and the options.
OPTIONS = {
    "resnext50_wenga": (500, ("--recipe", "seed-cifar10", "--pad", "0.125", "--epochs", "12")),
    "resnext29_taki": (200, ("--variant", "resnext29_taki", "--recipe", "taki0112-cifar10", "--batch-size", "32",
                             "--epochs", "4")),
}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    networks = {}
    for name, (images, options) in OPTIONS.items():
        folder = share(arguments.data, arguments.out / f"share-{images}", {"train": images, "test": TEST})
        out = arguments.out / name
        again = ["--resume", out] if is_run(out) else [folder, *options, "--out", out]
        subprocess.run([sys.executable, "-m", "resnext", "train", *again], check=True, stdout=subprocess.DEVNULL)
        history = Run.open(out).history
        networks[name] = {"images": images, "options": " ".join(options), "seconds": history.seconds}
        networks[name]["validation_top1"] = [row.validation_accuracy for row in history.rows]
        networks[name]["top1"] = evaluate(out, folder, weights="last").top(1)
    versions = {package: version(package) for package in ("resnext", "keras")}
    write_result(HERE / "results" / "lineage.json", {"versions": versions, "networks": networks})


def share(data: Path, folder: Path, most: dict[str, int]) -> Path:
    """Link the images into a folder of their own."""
    for part, images in most.items():
        for source in sorted((data / part).iterdir()):
            (folder / part / source.name).mkdir(parents=True, exist_ok=True)
            for file in sorted(source.iterdir())[:images]:
                link = folder / part / source.name / file.name
                if not link.exists():
                    os.link(file, link)
    return folder


if __name__ == "__main__":
    main()
