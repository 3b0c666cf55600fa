"""Networks on any backend: what they compute, and their gradients."""

from functools import partial

import keras
import numpy as np


def computed(model, inputs, training=False):
    """What a network computes of some inputs, as NumPy's arrays; half precision as float32.

    JAX compiles it whole: to compile each operation by itself takes ten times as long.
    """
    import keras

    if keras.backend.backend() == "jax":
        import jax

        variables = [
            [each.value for each in group] for group in (model.trainable_variables, model.non_trainable_variables)
        ]
        outputs, _ = jax.jit(partial(model.stateless_call, training=training))(*variables, inputs)
    else:
        outputs = model(inputs, training=training)
    half = ("float16", "bfloat16")
    outputs = keras.tree.map_structure(
        lambda y: keras.ops.cast(y, "float32") if keras.backend.standardize_dtype(y.dtype) in half else y, outputs
    )
    return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)


def gradients(model, inputs, targets) -> dict[str, np.ndarray]:
    """Gradients of the mean squared error for every trainable weight, as the weights lie in form c.

    One step of plain gradient descent with rate 1 moves each weight by its gradient, on every backend alike.
    """
    import keras

    from resnext.weights.variables import get_weights

    before = get_weights(model)
    eagerly = keras.backend.backend() != "jax"  # whichever is quicker for one step
    model.compile(keras.optimizers.SGD(1.0), "mse", run_eagerly=eagerly)
    model.train_on_batch(inputs, targets)
    after = get_weights(model)
    return {name: before[name] - after[name] for name in before if "moving" not in name}


def with_random_statistics(network):
    rng = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    return network
