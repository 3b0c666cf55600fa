"""Memory use over many steps: 10,000 steps of a small network on random images, with every augmentation.

    python benchmarks/memory.py --steps 10000

The script prints the resident memory of the process (MB) at the start and after each tenth of the steps.
"""

import argparse
import dataclasses

import numpy as np


def resident() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10_000)
    arguments = parser.parse_args()

    from resnext import get_recipe
    from resnext.data.batches import training_batches
    from resnext.data.examples import Examples
    from resnext.model.classifier import image_classifier, image_network
    from resnext.recipes.recipe import training_preprocessing
    from resnext.training.build import compile_classifier
    from resnext.training.schedules import learning_rates

    recipe = dataclasses.replace(get_recipe("rsb-a2"), image_size=32, batch_size=8, trivial_augment=True, erasing=0.5)
    images = np.random.default_rng(0).integers(0, 256, (500, 48, 64, 3), dtype=np.uint8)
    examples = Examples(images, np.arange(500, dtype=np.int32) % 10, tuple("0123456789"))
    network = image_network("resnext14_2x4d", 10, training_preprocessing(recipe))
    classifier = image_classifier(network, training_preprocessing(recipe))
    compile_classifier(classifier, network, recipe, learning_rates(recipe, arguments.steps))
    batches = training_batches(examples, recipe, training_preprocessing(recipe), seed=0)
    for step in range(arguments.steps + 1):
        if step % (arguments.steps // 10) == 0:
            print(f"step {step}: {resident():.0f} MB", flush=True)
        classifier.train_on_batch(*next(batches))


if __name__ == "__main__":
    main()
