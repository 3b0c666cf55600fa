"""The network for uint8 images, which returns logits; and Keras's configuration around it."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from resnext.errors import ArgumentError
from resnext.images.preprocessing import LUMA, Preprocessing
from resnext.layers.initializer import filled_later
from resnext.layers.normalise import Normalise
from resnext.model.ensemble import joined
from resnext.model.folding import fold
from resnext.model.network import ResNeXt, ResNeXtModel
from resnext.variants.variant import Variant
from resnext.weights.load import load_weights

SCALES = ("excitation_sigmoid", "eca_image")  # layers of the two kinds of attention that return the factors


@contextlib.contextmanager
def keras_config(dtype: str, data_format: str | None = None, floatx: str | None = "float32"):
    """Set Keras's global dtype policy, image layout and float type inside the block, and restore the caller's after it.

    The float type is that of inputs and losses; None keeps the layout, or the float type, of the user's keras.json.
    """
    before = keras.config.dtype_policy(), keras.config.image_data_format(), keras.config.floatx()
    keras.config.set_floatx(floatx or before[2])
    keras.config.set_dtype_policy(dtype)
    keras.config.set_image_data_format(data_format or before[1])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before[0])
        keras.config.set_image_data_format(before[1])
        keras.config.set_floatx(before[2])


def image_network(
    variant: str | Variant,
    classes: int,
    preprocessing: Preprocessing,
    weights: str | Path | None = None,
    size: int | None = None,
    form: str = "c",
) -> ResNeXtModel:
    """Build a network that returns logits.

    Args:
        variant: name, or a `Variant`.
        classes: number of classes.
        preprocessing: how its images are prepared.
        weights: weights to start from, as `ResNeXt` accepts them; random by default.
        size: side of its images; if it differs from the preprocessing's, as 0 does, the network accepts any size.
        form: form of its blocks.

    Raises:
        ArgumentError: the weights belong to differently normalised images.
    """
    side = preprocessing.size if size in (None, preprocessing.size) else None
    network = ResNeXt(
        variant, weights=weights, input_shape=(side, side, preprocessing.channel_count), classes=classes,
        classifier_activation=None, form=form,
    )  # fmt: skip
    known = network.preprocessing
    if known and (known.mean, known.std) != (preprocessing.mean, preprocessing.std):
        raise ArgumentError(
            f"{weights}: its images are normalised with mean {known.mean} and deviation {known.std}, not with "
            f"{preprocessing.mean} and {preprocessing.std}; pass the same --mean and --std"
        )
    network.preprocessing = preprocessing
    return network


class Trained(NamedTuple):
    """A network, its file of weights, and the indices of its classes in the order of those wanted."""

    variant: Variant
    weights: str | Path
    order: Sequence[int]


def trained_classifiers(
    trained: Sequence[Trained],
    preprocessings: Sequence[Preprocessing],
    dtype: str,
    outputs: Sequence[str | Callable[[keras.Model], Any]] = ("logits",),
) -> list[keras.Model]:
    """Build a trained, folded network once, and a model around it for each image size.

    Args:
        trained: its weights; those of several networks, whose logits are averaged.
        preprocessings: sizes and normalisation of the images.
        dtype: Keras dtype policy.
        outputs: "logits"; "embedding", the pooled features before the head; "maps", the features before the pool, from
            which class activation maps are made; or functions from the network to a tensor in it.

    Raises:
        WeightsError: the weights do not fit.
    """
    first, *others = preprocessings
    size = first.size if all(other.size == first.size for other in others) else None
    with keras_config(dtype, "channels_last"):
        networks = [_folded(each, first, size or 0) for each in trained]
        network = with_outputs(networks[0] if len(networks) == 1 else _joined(networks, trained), outputs)
        return [image_classifier(network, each) for each in preprocessings]


def _folded(trained: Trained, preprocessing: Preprocessing, size: int) -> keras.Model:
    with filled_later():
        network = image_network(trained.variant, len(trained.order), preprocessing, size=size)
    load_weights(network, trained.weights)
    return fold(network)


def _joined(networks: Sequence[keras.Model], trained: Sequence[Trained]) -> keras.Model:
    heads = []
    for network, each in zip(networks, trained, strict=True):
        kernel, bias = head_weights_of(network)
        heads.append((kernel[:, [*each.order]], bias[[*each.order]]))
    return joined(networks, heads)


def network_of(classifier: keras.Model) -> keras.Model:
    """Return the network in a model that `image_classifier` built."""
    return next(layer for layer in classifier.layers if isinstance(layer, keras.Model))


def head_weights(classifier: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """Return kernel (channels, classes) and bias (classes,) of the head of a model that `image_classifier` built."""
    return head_weights_of(network_of(classifier))


def head_weights_of(network: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """Return kernel (channels, classes) and bias (classes,) of the head of a network; without one, zeros."""
    kernel, *bias = network.get_layer("predictions").get_weights()
    return kernel, bias[0] if bias else np.zeros(kernel.shape[1], kernel.dtype)


def path_weights(classifier: keras.Model, block: str) -> np.ndarray:
    """Return the kernel of a block's transition, (channels of all paths, channels of the block)."""
    return network_of(classifier).get_layer(f"{block}_transition_conv").get_weights()[0][0, 0]


def paths_before_transition(block: str, network: keras.Model) -> Any:
    """Return the tensor of a block's transformed paths, side by side: (batch, height, width, channels of all paths)."""
    inputs = network.get_layer(f"{block}_transition_conv").input
    return inputs[0] if isinstance(inputs, list | tuple) else inputs


def attention_scale(block: str, network: keras.Model) -> Any:
    """Return the tensor by which a block's attention multiplies the channels: (batch, 1, 1, channels of the block)."""
    names = {layer.name for layer in network.layers}
    return network.get_layer(next(f"{block}_{end}" for end in SCALES if f"{block}_{end}" in names)).output


def with_outputs(network: keras.Model, outputs: Sequence[str | Callable[[keras.Model], Any]]) -> keras.Model:
    """Return the network with other outputs: a tensor, or a list of them."""
    pool = network.get_layer("avg_pool")
    tensors = {"logits": network.output, "embedding": pool.output, "maps": pool.input}
    chosen = [tensors[output] if isinstance(output, str) else output(network) for output in outputs]
    return keras.Model(network.input, chosen if len(chosen) > 1 else chosen[0], name=network.name)


def image_classifier(network: keras.Model, preprocessing: Preprocessing) -> keras.Model:
    """Build a model around a network, whose first operation normalises images.

    Shapes: uint8 (batch, size, size, channels) -> float (batch, classes), or the network's other outputs.
    """
    images = keras.Input(preprocessing.shape, dtype="uint8", name="images")
    scale, offset = (values.tolist() for values in preprocessing.scale_and_offset())
    shares = LUMA if preprocessing.channels == "grey" else None
    normalised = Normalise(scale, offset, shares, dtype="float32", name="normalise")(images)
    return keras.Model(images, network(normalised), name="image_classifier")
