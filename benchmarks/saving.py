"""The cost of a checkpoint in training: the copy to host memory, and the slowdown of the steps while it is written.

    python benchmarks/saving.py resnext50_32x4d --batch-size 16 --rounds 5

Rounds of `--steps` steps run in turns without a checkpoint and with one that starts after the first step. The script
prints the time of the copy, the seconds that a checkpoint adds (median, lowest and highest of the rounds) and their
share of a minute.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variant")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    classifier, step = training(arguments)
    with tempfile.TemporaryDirectory() as folder:
        step()
        copies, added, plain = [], [], []
        for number in range(arguments.rounds):
            plain.append(timed(arguments.steps, step))
            copy, seconds = timed_with_checkpoint(arguments.steps, step, classifier, Path(folder), number)
            copies.append(copy)
            added.append(seconds - plain[-1])
    print(f"step {statistics.median(plain) / arguments.steps:.2f} s")
    print(f"copy to host memory {said(copies)}")
    print(f"a checkpoint adds {said(added)}: {100 * statistics.median(added) / 60:.2f} % of a minute")


def said(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.3f} s ({min(seconds):.3f}, {max(seconds):.3f}), n {len(seconds)}"


def training(arguments):
    import keras
    import numpy as np

    from resnext import get_recipe, get_variant
    from resnext.images.preprocessing import Preprocessing
    from resnext.model.classifier import image_classifier, image_network
    from resnext.training.build import compile_classifier

    size, batch = arguments.image_size, arguments.batch_size
    preprocessing = Preprocessing(size, size)
    network = image_network(get_variant(arguments.variant), 1000, preprocessing)
    classifier = image_classifier(network, preprocessing)
    compile_classifier(classifier, network, get_recipe("photos"), 0.01)
    images = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
    targets = keras.utils.to_categorical(np.arange(batch) % 1000, 1000)
    return classifier, lambda: classifier.train_on_batch(images, targets)


def timed(steps: int, step) -> float:
    began = time.perf_counter()
    for _ in range(steps):
        step()
    return time.perf_counter() - began


def timed_with_checkpoint(steps: int, step, classifier, folder: Path, number: int) -> tuple[float, float]:
    from resnext.training.saving import Writer
    from resnext.training.variables import capture

    saver = Writer(folder)
    began = time.perf_counter()
    step()
    before = time.perf_counter()
    tensors = capture(classifier)
    copied = time.perf_counter() - before
    saver.start(tensors, {"step": number, "epochs": 0}, {}, "")
    seconds = time.perf_counter() - began + timed(steps - 1, step)
    saver.wait()
    return copied, seconds


if __name__ == "__main__":
    main()
