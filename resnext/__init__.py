"""ResNeXt for Keras 3 (Xie et al. 2017, https://arxiv.org/abs/1611.05431).

>>> import resnext
>>> network = resnext.ResNeXt("resnext50_32x4d")
"""

import importlib
import os
import sys
from typing import TYPE_CHECKING

import wrapt

from resnext.log import print_as_fallback

__version__ = "0.1.0"

# Without oneDNN, TensorFlow has no gradients of grouped convolutions. It reads this when it is imported.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

print_as_fallback()

# Public names and their modules, imported at first use: `resnext --help` must not wait for Keras.
_HOMES = {
    "BatchPredictor": "inference.batch_predictor",
    "EvaluationOptions": "inference.options",
    "ExportOptions": "exporting.options",
    "ImageSource": "data.memory",
    "GroupedConv2D": "layers.convolution",
    "Model": "inference.model",
    "PredictionOptions": "inference.options",
    "Preprocessing": "images.preprocessing",
    "Recipe": "recipes.recipe",
    "ResNeXt": "model.network",
    "Run": "runs.run",
    "TrainingOptions": "runs.config",
    "Variant": "variants.variant",
    "backbone": "model.features",
    "check_data": "data.check",
    "compare": "runs.compare",
    "complexity": "variants.complexity",
    "convert": "weights.convert",
    "cross_validate": "training.cross_validation",
    "decode_predictions": "data.imagenet_classes",
    "evaluate": "inference.evaluate",
    "explain": "inference.explain",
    "export": "exporting.export",
    "fold": "model.folding",
    "freeze": "model.features",
    "get_recipe": "recipes.names",
    "get_variant": "variants.names",
    "list_variants": "variants.names",
    "list_weights": "weights.published",
    "load_weights": "weights.load",
    "predict": "inference.predict",
    "preprocess_input": "images.preprocessing",
    "preview": "pages.preview",
    "resume": "training.train",
    "save_weights": "weights.save",
    "to_form": "model.forms",
    "train": "training.train",
}

__all__ = [
    "BatchPredictor",
    "EvaluationOptions",
    "ExportOptions",
    "GroupedConv2D",
    "ImageSource",
    "Model",
    "PredictionOptions",
    "Preprocessing",
    "Recipe",
    "ResNeXt",
    "Run",
    "TrainingOptions",
    "Variant",
    "backbone",
    "check_data",
    "compare",
    "complexity",
    "convert",
    "cross_validate",
    "decode_predictions",
    "errors",
    "evaluate",
    "explain",
    "export",
    "fold",
    "freeze",
    "get_recipe",
    "get_variant",
    "lineage",
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
    from resnext import errors, lineage
    from resnext.data.check import check_data
    from resnext.data.imagenet_classes import decode_predictions
    from resnext.data.memory import ImageSource
    from resnext.exporting.export import export
    from resnext.exporting.options import ExportOptions
    from resnext.images.preprocessing import Preprocessing, preprocess_input
    from resnext.inference.batch_predictor import BatchPredictor
    from resnext.inference.evaluate import evaluate
    from resnext.inference.explain import explain
    from resnext.inference.model import Model
    from resnext.inference.options import EvaluationOptions, PredictionOptions
    from resnext.inference.predict import predict
    from resnext.layers.convolution import GroupedConv2D
    from resnext.model.features import backbone, freeze
    from resnext.model.folding import fold
    from resnext.model.forms import to_form
    from resnext.model.network import ResNeXt
    from resnext.pages.preview import preview
    from resnext.recipes.names import get_recipe
    from resnext.recipes.recipe import Recipe
    from resnext.runs.compare import compare
    from resnext.runs.config import TrainingOptions
    from resnext.runs.run import Run
    from resnext.training.cross_validation import cross_validate
    from resnext.training.train import resume, train
    from resnext.variants.complexity import complexity
    from resnext.variants.names import get_variant, list_variants
    from resnext.variants.variant import Variant
    from resnext.weights.convert import convert
    from resnext.weights.load import load_weights
    from resnext.weights.published import list_weights
    from resnext.weights.save import save_weights


def __getattr__(name: str):
    if name in ("errors", "lineage"):
        return importlib.import_module(f"resnext.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'resnext' has no attribute {name!r}{_hint(name)}")
    value = getattr(importlib.import_module(f"resnext.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def _hint(name: str) -> str:
    """Return what to write instead of a name that other libraries have: ResNeXt50, resnext50_32x4d."""
    if not name.lower().startswith(("resnext", "resnet", "seresnext")):
        return ""
    from resnext.variants.names import nearest

    return f". A network is made by its name: resnext.ResNeXt({nearest(name)!r})"


def __dir__():
    return [*globals(), *__all__]


def _register_classes(module) -> None:
    """Register resnext's classes with Keras, so that `keras.saving.load_model` finds them."""
    if "resnext.layers" not in sys.modules:  # else they are being imported, and the model follows the layers
        importlib.import_module("resnext.model")


# When Keras is imported, or now if it is: `import resnext` alone must not wait for it.
wrapt.register_post_import_hook(_register_classes, "keras")
wrapt.register_post_import_hook(lambda module: importlib.import_module("resnext.model"), "resnext.layers")
