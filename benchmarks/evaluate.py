"""Speed of `evaluate`, from files to the result, relative to the bare network on images in memory, measured in turns.

    python benchmarks/evaluate.py DATA

DATA is a folder of images in class folders, which are read repeatedly if there are too few.
"""

import argparse
import itertools
import json
import statistics
import time
from datetime import date
from pathlib import Path

import numpy as np
from duel import HERE, command, machine


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "evaluate.json")
    given = parser.parse_args()
    import keras

    facts = {"machine": machine(), "date": str(date.today()), "command": command(), "backend": keras.backend.backend()}
    result = {**facts, **measure(given.data, given.batch, given.batches)}
    given.out.write_text(json.dumps(result, indent=1) + "\n")
    print(result)


def measure(data: Path, batch: int, batches: int) -> dict:
    """Return the ratio of the speeds (median, lowest, highest), its n, and images per second of the bare network."""
    from resnext import fold
    from resnext.data.examples import Examples
    from resnext.images.preprocessing import Preprocessing
    from resnext.inference.evaluate import evaluate_examples, outputs_of
    from resnext.model.classifier import image_classifier, image_network

    files = sorted(path for path in data.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    paths = list(itertools.islice(itertools.cycle(files), batch * batches))
    preprocessing = Preprocessing(224, 256)
    examples = Examples(paths, np.zeros(len(paths), np.int32), tuple(map(str, range(1000))))
    classifier = image_classifier(fold(image_network("resnext50_32x4d", 1000, preprocessing)), preprocessing)
    images = np.stack([preprocessing.load(path) for path in paths[:batch]])
    outputs_of(classifier, images)
    ratios = []
    for _ in range(3):
        started = time.perf_counter()
        for _ in range(batches):
            outputs_of(classifier, images)
        bare = time.perf_counter() - started
        started = time.perf_counter()
        evaluate_examples(classifier, examples, preprocessing, batch)
        ratios.append(bare / (time.perf_counter() - started))
    return {
        "n": 3,
        "ratio": [statistics.median(ratios), min(ratios), max(ratios)],
        "images": len(paths),
        "bare_images_per_second": len(paths) / bare,
    }


if __name__ == "__main__":
    main()
