"""The weights used for evaluation: their moving average, and batch-norm statistics recomputed to match."""

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator

import keras
import numpy as np
from keras import ops

from resnext.errors import ArgumentError


def precise_statistics(classifier: keras.Model, batches: Iterable[np.ndarray], count: int) -> None:
    """Recompute batch-norm statistics under the current weights, replacing their moving averages.

    PreciseBN (Wu and Johnson 2021, https://arxiv.org/abs/2105.07576, section 3.2): images run forward as in training,
    and each layer is normalised by its batch. A layer's mean is the mean of the batches' means; its variance is the
    mean of their variances plus the variance of their means. Only the statistics change, and layers that are not
    trained keep theirs.

    Args:
        classifier: model that `image_classifier` built.
        batches: images, uint8 (batch, height, width, 3), as in training; all batches have one size.
        count: number of batches to use, at least 1.

    Raises:
        ArgumentError: the count is below 1, or there are fewer batches.

    >>> from resnext.model.classifier import image_classifier, image_network
    >>> from resnext.images.preprocessing import Preprocessing
    >>> preprocessing = Preprocessing(size=32, resize=32)
    >>> classifier = image_classifier(image_network("resnext14_2x4d", 3, preprocessing), preprocessing)
    >>> precise_statistics(classifier, [np.zeros((4, 32, 32, 3), "uint8")], count=1)
    """
    if count < 1:
        raise ArgumentError(f"`count` must be at least 1. Received: {count}")
    norms = _norms(classifier)
    step = _compiled(classifier)
    variables = classifier.trainable_variables, classifier.non_trainable_variables
    values = [[ops.convert_to_tensor(v) for v in vs] for vs in variables]
    found = [step(*values, ops.convert_to_tensor(images)) for images in itertools.islice(batches, count)]
    if len(found) < count:
        raise ArgumentError(f"`batches` must be {count} or more. Received: {len(found)}")
    means, variances = np.stack([_numpy(both) for both in found], axis=1).astype("float64")
    places = np.cumsum([norm.moving_mean.shape[0] for norm in norms])[:-1]
    estimates = np.split(means.mean(axis=0), places), np.split(variances.mean(axis=0) + means.var(axis=0), places)
    for variables, values in zip(_moving(norms), estimates, strict=True):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


@contextlib.contextmanager
def averaged_weights(classifier: keras.Model, batches: Iterable[np.ndarray], count: int) -> Iterator[None]:
    """Put averaged weights and precise statistics into the network inside the block; restore the originals after it.

    Use it to evaluate and save at the end of an epoch; it leaves the training itself unaffected.

    Args:
        classifier: compiled with one of `resnext.training.optimizers` and `use_ema=True`, after a step or more.
        batches: as in `precise_statistics`; not the ones that the training itself reads.
        count: as in `precise_statistics`.

    Raises:
        ArgumentError: the optimizer keeps no average (nothing is changed then), or as `precise_statistics`.
    """
    optimizer = getattr(classifier.optimizer, "inner_optimizer", classifier.optimizer)  # half precision wraps it
    if not optimizer.use_ema:
        raise ArgumentError(f"`classifier` must be compiled with use_ema=True. Received: {optimizer.name} without it")
    if keras.backend.backend() == "jax":
        classifier.jax_state_sync()  # inside `fit` the values are not in the variables
    weights = optimizer._trainable_variables
    means, variances = _moving(_norms(classifier))
    kept = [(v, _numpy(v)) for v in (*weights, *means, *variances)]
    try:
        for variable, average in zip(weights, optimizer._model_variables_moving_average, strict=True):
            variable.assign(_numpy(average))
        precise_statistics(classifier, batches, count)
        yield
    finally:
        for variable, value in kept:
            variable.assign(value)


@contextlib.contextmanager
def corrected_statistics(classifier: keras.Model, steps: int) -> Iterator[None]:
    """Remove the remainder of their start, mean 0 and variance 1, from the moving statistics; restore them after it.

    After few steps, that remainder dominates, and a network that has learned is evaluated as if it had not. The
    correction is that of Adam's moments (Kingma and Ba 2015, https://arxiv.org/abs/1412.6980, section 3): (moving - m^t
    start) / (1 - m^t).

    Args:
        classifier: model whose batch norms all have that start.
        steps: batches since the start, at least 1.
    """
    means, variances = _moving(_norms(classifier))
    momenta = [norm.momentum for norm in _norms(classifier)]
    kept = [(v, _numpy(v)) for v in (*means, *variances)]
    starts, shares = [0.0] * len(means) + [1.0] * len(variances), [m**steps for m in (*momenta, *momenta)]
    try:
        for (variable, value), start, share in zip(kept, starts, shares, strict=True):
            variable.assign((value - share * start) / (1.0 - share))
        yield
    finally:
        for variable, value in kept:
            variable.assign(value)


def _numpy(values) -> np.ndarray:
    # A copy: JAX and PyTorch reuse the memory in the next step.
    return np.array(ops.convert_to_numpy(values))


def _norms(classifier: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Return each layer whose statistics change in training once."""
    layers = classifier._flatten_layers(include_self=False)
    return [x for x in layers if isinstance(x, keras.layers.BatchNormalization) and x.trainable]


def _compiled(classifier: keras.Model) -> Callable:
    """Return `_statistics` of this classifier, compiled once and stored with it like Keras's `train_function`."""
    if getattr(classifier, "statistics_function", None) is None:
        classifier.statistics_function = _compile(functools.partial(_statistics, classifier))
    return classifier.statistics_function


def _compile(function: Callable) -> Callable:
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.jit(function)
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    import torch

    return torch.no_grad()(function)


def _statistics(classifier: keras.Model, trainable: list, others: list, images):
    """Return means and variances of one batch in all layers, concatenated: float32 (2, channels)."""
    norms = _norms(classifier)
    places = {id(v): place for place, v in enumerate(classifier.non_trainable_variables)}
    means, variances = ([places[id(v)] for v in vs] for vs in _moving(norms))
    ours = {*means, *variances}  # start from zero: NaN of a diverged training would persist
    others = [ops.zeros_like(v) if place in ours else v for place, v in enumerate(others)]
    with _without_momentum(norms):
        _, moved = classifier.stateless_call(trainable, others, images, training=True)
    return ops.stack([_joined([moved[place] for place in places]) for places in (means, variances)])


def _joined(vectors: list):
    return ops.concatenate([ops.cast(vector, "float32") for vector in vectors])


def _moving(norms: list[keras.layers.BatchNormalization]) -> tuple[list, list]:
    return [norm.moving_mean for norm in norms], [norm.moving_variance for norm in norms]


@contextlib.contextmanager
def _without_momentum(norms: list[keras.layers.BatchNormalization]) -> Iterator[None]:
    """Make the moving statistics exactly those of the last batch inside the block."""
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
