"""Several networks as one, whose logits are the mean of theirs."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np


def joined(networks: Sequence[keras.Model], heads: Sequence[tuple[np.ndarray, np.ndarray]]) -> keras.Model:
    """Return one network whose logits are the mean of those of several.

    The features of all are put side by side before one pool and one head, whose kernel is theirs on top of each other,
    divided by their number. Its class activation maps are therefore the means of theirs.

    Args:
        networks: folded networks for the same images, with as many classes and positions before the pool.
        heads: for each network, kernel (channels, classes) and bias (classes,) of its head, all in the same order.
    """
    first = networks[0]
    images = keras.Input(first.input.shape[1:], dtype=first.input.dtype)
    features = [_features(network, images, number) for number, network in enumerate(networks, 1)]
    pool, head = first.get_layer("avg_pool"), first.get_layer("predictions")
    x = keras.layers.Concatenate(name="features")(features)
    x = type(pool).from_config(pool.get_config())(x)
    output = type(head).from_config(head.get_config() | {"use_bias": True})(x)
    result = keras.Model(images, output, name="ensemble")
    kernels, biases = zip(*heads, strict=True)
    result.get_layer("predictions").set_weights([np.concatenate(kernels) / len(heads), np.mean(biases, axis=0)])
    return result


def _features(network: keras.Model, images: keras.KerasTensor, number: int) -> keras.KerasTensor:
    """Return the features of a network before its pool, of copies of its layers with names of their own."""
    names = {}

    def renamed(operation):
        if not isinstance(operation, keras.layers.Layer):
            return operation
        names[operation.name] = f"{operation.name}_of_{number}"
        return type(operation).from_config(operation.get_config() | {"name": names[operation.name]})

    body = keras.Model(network.input, network.get_layer("avg_pool").input)
    copy = keras.models.clone_model(body, input_tensors=images, clone_function=renamed)
    for name, new in names.items():
        copy.get_layer(new).set_weights(body.get_layer(name).get_weights())
    return copy.output
