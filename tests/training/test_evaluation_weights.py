"""Statistics that belong to the weights, and averaged weights that a training does not notice."""

import dataclasses

import keras
import numpy as np
import pytest

from resnext import freeze, get_variant
from resnext.engines.keras_engine import KerasEngine
from resnext.images.preprocessing import Preprocessing
from resnext.model.classifier import image_classifier, image_network, keras_config
from resnext.model.recompute import recompute
from resnext.training.evaluation_weights import averaged_weights, precise_statistics
from resnext.training.optimizers import SGD

PREPROCESSING = Preprocessing(size=24, resize=24)
STATISTICS = ("moving_mean", "moving_variance")


def built(wrap=lambda network: network, **fields) -> tuple[keras.Model, keras.Model]:
    """The same network each time, and its classifier."""
    keras.utils.set_random_seed(0)
    network = image_network(dataclasses.replace(get_variant("resnet8"), **fields), 3, PREPROCESSING)
    return network, image_classifier(wrap(network), PREPROCESSING)


def photos(batches: int, images: int = 4) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [
        np.clip(rng.normal(rng.uniform(50, 200), 40, (images, 24, 24, 3)), 0, 255).astype("uint8")
        for _ in range(batches)
    ]


def values(model: keras.Model) -> dict[str, np.ndarray]:
    return {v.path: np.array(keras.ops.convert_to_numpy(v)) for v in model.variables}


def assert_identical(one: dict[str, np.ndarray], other: dict[str, np.ndarray]):
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


def is_statistic(path: str) -> bool:
    return path.endswith(STATISTICS)


@pytest.fixture(scope="module")
def precise():
    """A classifier with dropped paths before and after, and the values it had and has."""
    network, classifier = built(drop_path=0.3)
    before = values(classifier)
    precise_statistics(classifier, photos(3), 3)
    return network, classifier, before, values(classifier)


def test_statistics_of_the_stem_are_those_of_all_images(precise):
    network, classifier, _, after = precise
    stem = keras.Model(network.input, network.get_layer("stem_conv").output)
    images = classifier.get_layer("normalise")(np.concatenate(photos(3)))
    maps = keras.ops.convert_to_numpy(stem.predict_on_batch(images)).astype("float64")
    np.testing.assert_allclose(after["stem_norm/moving_mean"], maps.mean(axis=(0, 1, 2)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(after["stem_norm/moving_variance"], maps.var(axis=(0, 1, 2)), rtol=1e-4)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-3), ("mixed_bfloat16", 0.05)])
def test_statistics_are_those_of_each_layer_normalised_by_its_batch(dtype, tolerance):
    with keras_config(dtype):
        _, classifier = built()
    norms = [x for x in classifier._flatten_layers() if isinstance(x, keras.layers.BatchNormalization)]
    found = {v.path: [] for norm in norms for v in (norm.moving_mean, norm.moving_variance)}
    for norm in norms:
        norm.momentum = 0.0
    for images in photos(2):
        classifier(images, training=True)
        for path, value in values(classifier).items():
            if is_statistic(path):
                found[path].append(value.astype("float64"))
    for norm, momentum in zip(norms, np.linspace(0.1, 1.0, len(norms)), strict=True):
        norm.momentum = float(momentum)  # of no account
        norm.moving_mean.assign(np.full(norm.moving_mean.shape, np.nan))
    precise_statistics(classifier, photos(2), 2)
    given = values(classifier)
    for norm in norms:
        means, variances = (np.stack(found[v.path]) for v in (norm.moving_mean, norm.moving_variance))
        np.testing.assert_allclose(given[norm.moving_mean.path], means.mean(axis=0), rtol=tolerance, atol=tolerance)
        wanted = variances.mean(axis=0) + means.var(axis=0)
        np.testing.assert_allclose(given[norm.moving_variance.path], wanted, rtol=tolerance, atol=tolerance)
    assert norms[0].momentum == 0.1


def test_only_statistics_change_and_always_to_the_same(precise):
    _, classifier, before, after = precise
    others = {path for path in after if not is_statistic(path)}
    assert any("seed" in path for path in others)
    assert_identical({path: after[path] for path in others}, {path: before[path] for path in others})
    assert not any(np.array_equal(after[path], before[path]) for path in after.keys() - others)
    function = classifier.statistics_function
    for momentum in (0.3, 0.9):
        for layer in classifier._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = momentum
        classifier.statistics_function = None if momentum == 0.3 else classifier.statistics_function
        precise_statistics(classifier, iter(photos(4)), 3)
        assert_identical(values(classifier), after)
    assert classifier.statistics_function is not function


def test_frozen_layers_keep_their_statistics_and_recomputed_ones_get_the_same():
    plain, wrapped = built(), built(recompute)
    for network, classifier in (plain, wrapped):
        freeze(network, (1, 2))
        precise_statistics(classifier, photos(2), 2)
    ours, theirs = values(plain[0]), values(wrapped[0])
    for path in filter(is_statistic, ours):
        np.testing.assert_allclose(ours[path], theirs[path], rtol=1e-3, atol=1e-4, err_msg=path)
        start = 0.0 if path.endswith("mean") else 1.0
        assert np.all(ours[path] == start) == path.startswith(("stem", "stage2"))


def test_too_few_batches_are_refused(precise):
    _, classifier, *_ = precise
    before = values(classifier)
    with pytest.raises(ValueError, match=r"`batches` must be 4 or more. Received: 3"):
        precise_statistics(classifier, photos(3), 4)
    with pytest.raises(ValueError, match=r"`count` must be at least 1. Received: 0"):
        precise_statistics(classifier, photos(3), 0)
    assert_identical(values(classifier), before)


class Judge(keras.callbacks.Callback):
    """Look at the averaged weights after each epoch, and once within."""

    def __init__(self, classifier):
        super().__init__()
        self.classifier = classifier
        self.seen = []

    def look(self):
        with averaged_weights(self.classifier, photos(2), 2):
            KerasEngine(self.classifier).outputs(photos(1)[0])
            self.seen.append(values(self.classifier))

    def on_train_batch_end(self, batch, logs=None):
        if batch == 0:
            self.look()

    def on_epoch_end(self, epoch, logs=None):
        self.look()


def test_training_does_not_notice_that_averages_are_judged():
    _, classifier = built(drop_path=0.2)
    optimizer = SGD(0.01, nesterov=True, use_ema=True, ema_momentum=0.5)
    classifier.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    optimizer.build(classifier.trainable_variables)
    state = [*classifier.variables, *optimizer.variables]
    start = [np.array(keras.ops.convert_to_numpy(v)) for v in state]
    images, labels, judge = np.concatenate(photos(4)), np.arange(16) % 3, Judge(classifier)
    ends = []
    for callbacks in ([], [judge]):
        for variable, value in zip(state, start, strict=True):
            variable.assign(value)
        classifier.fit(images, labels, batch_size=8, epochs=2, shuffle=False, verbose=0, callbacks=callbacks)
        ends.append([np.array(keras.ops.convert_to_numpy(v)) for v in state])
    for variable, *pair in zip(state, *ends, strict=True):
        np.testing.assert_array_equal(*pair, err_msg=variable.path)
    assert len(judge.seen) == 4
    averages = zip(optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True)
    for variable, average in averages:
        np.testing.assert_array_equal(judge.seen[-1][variable.path], keras.ops.convert_to_numpy(average))
    assert not np.array_equal(judge.seen[-1]["stem_conv/kernel"], values(classifier)["stem_conv/kernel"])


def test_weights_come_back_after_an_error_and_without_an_average_nothing_happens():
    with keras_config("mixed_float16"):
        _, classifier = built()
    classifier.compile(SGD(0.01, use_ema=True), "mse")
    assert isinstance(classifier.optimizer, keras.optimizers.LossScaleOptimizer)
    classifier.optimizer.build(classifier.trainable_variables)
    before = values(classifier)
    with pytest.raises(ValueError, match="`batches` must be 9"), averaged_weights(classifier, photos(2), 9):
        pass
    with pytest.raises(KeyError), averaged_weights(classifier, photos(2), 2):
        raise KeyError
    assert_identical(values(classifier), before)
    classifier.compile(SGD(0.01, name="plain"), "mse")
    message = r"must be compiled with use_ema=True. Received: plain without it"
    with pytest.raises(ValueError, match=message), averaged_weights(classifier, photos(2), 2):
        pass
