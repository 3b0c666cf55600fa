"""Pixels and files of images."""

import numpy as np

COLOURS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def saved(image, path, **options):
    image.save(path, **options)
    return path
