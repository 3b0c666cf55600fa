"""Trade time for memory: a block stores only its input and is recomputed for its gradients.

Chen et al. 2016, https://arxiv.org/abs/1604.06174, with the blocks of the network as the segments.
"""

import keras

from resnext.errors import ArgumentError
from resnext.model.network import ResNeXtModel
from resnext.variants.layer_table import block_of


class Recomputed(keras.layers.Layer):
    """A part of a network whose activations are not stored in training."""

    def __init__(self, part: keras.Model, **arguments):
        super().__init__(**arguments)
        self.part = part

    def compute_output_spec(self, inputs, training=None):
        return self.part.compute_output_spec(inputs)

    def call(self, inputs, training=None):
        if not training:
            return self.part(inputs, training=False)

        def compute(trainable, others, x):
            # A pure function: it is computed twice, but moving statistics must be updated only once.
            return self.part.stateless_call(trainable, others, x, training=True)

        values = [[v.value for v in vs] for vs in (self.part.trainable_variables, self.part.non_trainable_variables)]
        outputs, moved = keras.remat(compute)(*values, inputs)
        for variable, value in zip(self.part.non_trainable_variables, moved, strict=True):
            variable.assign(value)
        return outputs


def recompute(network: ResNeXtModel) -> keras.Model:
    """Build a model that computes and trains like the network, on the same variables, in less memory.

    Raises:
        ArgumentError: the network does not consist of `ResNeXt`'s blocks.

    >>> from resnext import ResNeXt
    >>> network = ResNeXt("resnext14_2x4d", input_shape=(32, 32, 3), classes=10)
    >>> recompute(network).count_params() == network.count_params()
    True
    """
    in_blocks = {block_of(layer.name): layer.output for layer in network.layers}  # the last layer of each block
    ends = [output for block, output in in_blocks.items() if block]
    norms = any(layer.name.endswith("_transition_norm") for layer in network.layers)
    if not norms or "out_stages" in getattr(network, "arguments", {}):
        raise ArgumentError(
            f"`network` must have the blocks of ResNeXt, not folded, and one output. Received: {network.name!r}"
        )
    x = inputs = keras.Input(batch_shape=network.input.shape, dtype=network.input.dtype)
    start = network.input
    for end in ends:
        x = Recomputed(keras.Model(start, end))(x)
        start = end
    if ends[-1] is not network.output:
        x = keras.Model(start, network.output)(x)
    return keras.Model(inputs, x, name=network.name)
