"""ResNeXt for Keras 3 (Xie et al. 2017, https://arxiv.org/abs/1611.05431).

>>> import resnext
>>> network = resnext.ResNeXt("resnext50_32x4d")
"""

import importlib
from typing import TYPE_CHECKING

from resnext.data.preview import preview
from resnext.recipes.naming import get_recipe
from resnext.recipes.recipe import Recipe

# These functions have the names of their modules: imported here, or the modules would stand in their place.
from resnext.runs.compare import compare
from resnext.runs.evaluate import evaluate
from resnext.runs.predict import predict
from resnext.training.train import resume, train
from resnext.variants.complexity import complexity
from resnext.variants.naming import get_variant, list_variants
from resnext.variants.variant import Variant

__version__ = "0.1.0"

# Public names and the modules they live in: imported at first use, so that `resnext --help` does not wait for Keras.
_HOMES = {
    "ResNeXt": "model.network",
    "backbone": "model.features",
    "freeze": "model.features",
    "check_data": "data.check",
    "GroupedConv2D": "layers.convolution",
    "to_form": "model.forms",
    "fold": "model.folding",
    "save_weights": "weights.save",
    "load_weights": "weights.load",
    "convert": "weights.convert",
    "preprocess_input": "images.preprocessing",
    "decode_predictions": "weights.imagenet_classes",
    "list_weights": "weights.published",
}

__all__ = [
    "GroupedConv2D",
    "Recipe",
    "ResNeXt",
    "Variant",
    "backbone",
    "check_data",
    "compare",
    "complexity",
    "convert",
    "decode_predictions",
    "evaluate",
    "fold",
    "freeze",
    "get_recipe",
    "get_variant",
    "list_variants",
    "list_weights",
    "load_weights",
    "predict",
    "preprocess_input",
    "preview",
    "resume",
    "save_weights",
    "to_form",
    "train",
]

if TYPE_CHECKING:
    from resnext.data.check import check_data
    from resnext.images.preprocessing import preprocess_input
    from resnext.layers.convolution import GroupedConv2D
    from resnext.model.features import backbone, freeze
    from resnext.model.folding import fold
    from resnext.model.forms import to_form
    from resnext.model.network import ResNeXt
    from resnext.weights.convert import convert
    from resnext.weights.imagenet_classes import decode_predictions
    from resnext.weights.load import load_weights
    from resnext.weights.published import list_weights
    from resnext.weights.save import save_weights


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'resnext' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"resnext.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return [*globals(), *__all__]
