"""The function of an exported network in Keras operations: images in; probabilities and maps out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from resnext.exporting.network import Export

if TYPE_CHECKING:
    import keras


def exported_function(export: Export) -> tuple[keras.Model, Callable[[Any], dict]]:
    """Return a network, and the function to write to its file.

    Args:
        export: network to write.

    Returns:
        The model whose weights the function uses; and the function from uint8 (batch, size, size, 3), or normalised
        float32 of that shape, to `probabilities` (batch, classes) and, if maps are requested, `maps` (batch, height,
        width, classes).
    """
    from keras import ops

    from resnext.model.classifier import head_weights, network_of

    (classifier,) = export.model.in_float32().build(outputs=("logits", "maps"))
    network = classifier if export.description.input == "uint8" else network_of(classifier)
    kernel, _ = head_weights(classifier)

    def compute(images: Any) -> dict[str, Any]:
        logits, features = network(images)
        outputs = {"probabilities": ops.sigmoid(logits) if export.description.several else ops.softmax(logits)}
        return outputs | ({"maps": ops.conv(features, kernel[None, None])} if export.options.maps else {})

    return network, compute
