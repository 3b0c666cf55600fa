"""ResNeXt for Keras 3 (Xie et al. 2017, https://arxiv.org/abs/1611.05431).

>>> import resnext
>>> network = resnext.ResNeXt("resnext50_32x4d")
"""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# Public names and the modules they live in: imported at first use, so that `import resnext` and `resnext --help`
# do not wait for Keras.
_HOMES = {
    "ResNeXt": "model",
    "GroupedConv2D": "layers",
    "Variant": "variants",
    "get_variant": "variants",
    "list_variants": "variants",
    "complexity": "complexity",
    "to_form": "forms",
    "save_weights": "weights",
    "load_weights": "weights",
    "preprocess_input": "preprocessing",
    "train": "train",
    "evaluate": "evaluate",
    "predict": "predict",
}

__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from resnext.complexity import complexity as complexity
    from resnext.evaluate import evaluate as evaluate
    from resnext.forms import to_form as to_form
    from resnext.layers import GroupedConv2D as GroupedConv2D
    from resnext.model import ResNeXt as ResNeXt
    from resnext.predict import predict as predict
    from resnext.preprocessing import preprocess_input as preprocess_input
    from resnext.train import train as train
    from resnext.variants import Variant as Variant
    from resnext.variants import get_variant as get_variant
    from resnext.variants import list_variants as list_variants
    from resnext.weights import load_weights as load_weights
    from resnext.weights import save_weights as save_weights


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'resnext' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"resnext.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return [*globals(), *__all__]
