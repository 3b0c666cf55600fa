"""Speed of `evaluate` and `predict`, from files to results, relative to the bare network on images in memory.

    python benchmarks/inference.py DATA

DATA is a folder of images, which are read repeatedly if there are too few. The three are measured in turns; the network
is ResNeXt-50 (32x4d) with random weights at 224 pixels. The last number is the time from the command to the answer for
one photo, in a process of its own.
"""

import argparse
import itertools
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from duel import HERE, photos_in, spread, write_result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "inference.json")
    given = parser.parse_args()
    import keras

    measured = measure(given.data, given.batch, given.batches, given.rounds)
    write_result(given.out, {"backend": keras.backend.backend(), **measured})


def measure(data: Path, batch: int, batches: int, rounds: int) -> dict:
    """Return ratios of the speeds to the bare network's, and its images per second: median, lowest, highest."""
    paths = list(itertools.islice(itertools.cycle(photos_in(data)), batch * batches))
    with tempfile.TemporaryDirectory() as folder:
        weights = save_network(Path(folder) / "network.safetensors")
        seconds = measure_in_turns(weights, paths, batch, rounds)
        first = [seconds_to_one_answer(weights, paths[0]) for _ in range(rounds)]
    bare = seconds.pop("bare")
    return {
        "images": len(paths),
        "bare_images_per_second": rounded([len(paths) / each for each in bare]),
        **{
            f"{name}_ratio": rounded([b / s for b, s in zip(bare, each, strict=True)]) for name, each in seconds.items()
        },
        "seconds_to_one_answer": rounded(first),
    }


def save_network(path: Path) -> Path:
    """Write random weights of ResNeXt-50."""
    from resnext import Preprocessing, ResNeXt, save_weights

    network = ResNeXt("resnext50_32x4d")
    network.preprocessing = Preprocessing(224, 256)
    save_weights(network, path)
    return path


def measure_in_turns(weights: Path, paths: list[Path], batch: int, rounds: int) -> dict[str, list[float]]:
    """Return the seconds for all images of the bare network, of evaluate and of predict, in each round."""
    from resnext.data.examples import Examples
    from resnext.inference.evaluate import evaluate_examples
    from resnext.inference.model import Model
    from resnext.inference.predict import predict

    model = Model.open(weights)
    (engine,) = model.engines()
    images = np.stack([model.preprocessing.load(path) for path in paths[:batch]])
    examples = Examples(paths, np.zeros(len(paths), np.int32), model.classes)

    def bare():
        for _ in range(len(paths) // batch):
            engine.outputs(images)

    def evaluated():
        evaluate_examples(engine, examples, model.preprocessing, batch)

    predictions = predict(model, itertools.chain(paths * (rounds + 1)))

    def predicted():
        for _ in itertools.islice(predictions, len(paths)):
            pass

    tasks = {"bare": bare, "evaluate": evaluated, "predict": predicted}
    for task in tasks.values():
        task()
    seconds = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            started = time.perf_counter()
            task()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def seconds_to_one_answer(weights: Path, photo: Path) -> float:
    """Return the time of `resnext predict` for one photo."""
    started = time.perf_counter()
    words = [sys.executable, "-m", "resnext", "predict", str(weights), str(photo)]
    subprocess.run(words, check=True, capture_output=True)
    return time.perf_counter() - started


def rounded(values: list[float]) -> list[float]:
    """Return median, lowest and highest, to three decimal places."""
    return [round(value, 3) for value in spread(values)]


if __name__ == "__main__":
    main()
