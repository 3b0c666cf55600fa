"""Built-in data sets: `digits`, `cifar10`, `cifar100`."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from pathlib import Path

import numpy as np

from resnext.backend import import_keras
from resnext.data.archives import ARCHIVES
from resnext.data.examples import Examples
from resnext.data.holdout import TEST_SHARE
from resnext.data.splits import Splits
from resnext.errors import DataError, missing_package, one_line

FOLDER_VARIABLE = "RESNEXT_DATA"  # environment variable that names the folder of local copies
# In the order of the labels. Source: the files batches.meta and meta of https://www.cs.toronto.edu/~kriz/cifar.html
CIFAR10 = tuple("airplane automobile bird cat deer dog frog horse ship truck".split())  # noqa: SIM905
CIFAR100 = tuple(
    """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm
    """.split()  # noqa: SIM905
)
CIFAR = {"cifar10": CIFAR10, "cifar100": CIFAR100}
BUILTIN = ("digits", *CIFAR)


def local_copy(name: str) -> Path | None:
    """Return the folder or archive of that name in the folder named by RESNEXT_DATA, or in the current folder.

    The digits come with scikit-learn and have no local copy.
    """
    folders = [Path(folder) for folder in (os.environ.get(FOLDER_VARIABLE), ".") if folder]
    copies = [folder / f"{name}{suffix}" for folder in folders for suffix in ("", *ARCHIVES)] if name in CIFAR else []
    return next((copy for copy in copies if copy.exists()), None)


def load_builtin(name: str) -> Splits:
    """Load a built-in data set; its test part also serves for validation.

    Raises:
        MissingPackageError: scikit-learn is not installed.
        DataError: the download failed.
    """
    return _digits() if name == "digits" else _cifar(name)


def _digits() -> Splits:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise missing_package("the built-in data set digits", "scikit-learn", "datasets") from error
    grey, labels = load_digits(return_X_y=True)
    images = np.rint(grey.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8).repeat(3, axis=-1)
    is_test = np.zeros(len(labels), bool)
    for label in range(10):
        is_test[np.flatnonzero(labels == label)[TEST_SHARE - 1 :: TEST_SHARE]] = True
    train, test = (
        Examples(images[part], labels[part].astype(np.int32), tuple("0123456789")) for part in (~is_test, is_test)
    )
    return Splits(train, test, test)


def _cifar(name: str) -> Splits:
    import_keras()
    data_set = importlib.import_module(f"keras.datasets.{name}")
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras shows the download's progress
            parts = data_set.load_data()
    except Exception as error:  # network, disk or checksum: Keras raises many kinds of errors
        raise DataError(
            f"{name} could not be downloaded ({one_line(error)}). Put a folder {name}/ or an archive {name}.tar.gz "
            f"with train/<class>/* and test/<class>/* into a folder, and set {FOLDER_VARIABLE} to that folder."
        ) from error
    train, test = (
        Examples(_channels_last(images), labels.reshape(-1).astype(np.int32), CIFAR[name]) for images, labels in parts
    )
    return Splits(train, test, test)


def _channels_last(images: np.ndarray) -> np.ndarray:
    # Keras returns the images in its image_data_format.
    return images if images.shape[-1] == 3 else np.ascontiguousarray(images.transpose(0, 2, 3, 1))
