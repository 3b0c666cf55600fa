"""Weights as torchvision and timm save them, and the network that they belong to."""

import numpy as np
from golden.formula import array

from resnext.model.network import ResNeXt
from resnext.variants.layer_table import variant_shapes
from resnext.variants.names import get_variant
from resnext.weights.foreign_names import their_shape, torch_layout

SMALL = "resnext14_4x4d"
LAYOUT = torch_layout(deep_stem=False, bottleneck=True, averaged_shortcut=False)


def torch_weights(variant=SMALL, classes=10, channels=3) -> dict[str, np.ndarray]:
    """As torchvision and timm would save them, without the counters."""
    shapes = variant_shapes(get_variant(variant), channels, classes)
    theirs = {LAYOUT.their_name(name): their_shape(shape, LAYOUT) for name, shape in shapes.items()}
    return {name: array(name, shape) for name, shape in theirs.items()}


def network(weights=None, variant=SMALL, classes=10, **arguments):
    arguments = {"input_shape": (32, 32, 3), "classifier_activation": None, **arguments}
    return ResNeXt(variant, weights=weights, classes=classes, **arguments)


def images(channels=3):
    return np.random.default_rng(0).normal(size=(2, 32, 32, channels)).astype("float32")
