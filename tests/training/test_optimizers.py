"""Published steps against their formulae in NumPy, PyTorch's own optimizers, and Keras's way of training."""

import keras
import numpy as np
import pytest

from resnext import ResNeXt, freeze
from resnext.model.classifier import keras_config
from resnext.training.optimizers import SGD, AdamW, Lamb, layer_rates

TORCH = keras.backend.backend() == "torch"
ROUTES = ("native", "foreach") if TORCH else ("native",)
RATES = (0.1, 0.3, 0.02, 0.2, 0.05, 0.1)  # of the steps
SHAPES = {"kernel": (2, 2, 1, 3), "zeros": (3,), "gamma": (3,), "bias": (3,)}


def rates() -> keras.optimizers.schedules.LearningRateSchedule:
    return keras.optimizers.schedules.PiecewiseConstantDecay(list(range(len(RATES) - 1)), list(RATES))


def problem(dtype="float32"):
    """Weights, one of them all zeros, and the gradients of some steps; those of the first two leave zeros at zero."""
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(size=shape).astype(dtype) for name, shape in SHAPES.items()}
    weights["zeros"][:] = 0
    gradients = [{name: rng.normal(size=shape).astype(dtype) for name, shape in SHAPES.items()} for _ in RATES]
    for step in gradients[:2]:
        step["zeros"][:] = 0
    return weights, gradients


def trained(optimizer, route, dtype="float32") -> dict[str, np.ndarray]:
    weights, gradients = problem(dtype)
    variables = {name: keras.Variable(value, name=name, dtype=dtype) for name, value in weights.items()}
    optimizer.build(list(variables.values()))
    optimizer.route = route
    for step in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(step[name]) for name in variables], list(variables.values()))
    return {name: keras.ops.convert_to_numpy(variable) for name, variable in variables.items()}


def expected(direction, *, decay=0.0, spared=(), factors=None, clip=None) -> dict[str, np.ndarray]:
    """The weights after the steps of `direction(gradient, weight, decay, state, step)`, in float64."""
    weights, gradients = problem()
    weights = {name: value.astype("float64") for name, value in weights.items()}
    states = {name: {} for name in weights}
    for step, (rate, gradient) in enumerate(zip(RATES, gradients, strict=True), 1):
        norm = np.sqrt(sum(float(np.sum(g**2)) for g in gradient.values()))
        scale = 1 if clip is None else min(1, clip / norm)
        for name, weight in weights.items():
            own = 0 if name in spared else decay
            move = direction(scale * gradient[name], weight, own, states[name], step)
            weights[name] = weight - rate * (factors or {}).get(name, 1) * move
    return weights


def sgd(nesterov):
    def direction(gradient, weight, decay, state, step):
        gradient = gradient + decay * weight
        state["v"] = 0.9 * state.get("v", 0) + gradient
        return gradient + 0.9 * state["v"] if nesterov else state["v"]

    return direction


def adamw(gradient, weight, decay, state, step, epsilon=1e-8):
    state["m"] = 0.9 * state.get("m", 0) + 0.1 * gradient
    state["v"] = 0.999 * state.get("v", 0) + 0.001 * gradient**2
    mean, square = state["m"] / (1 - 0.9**step), state["v"] / (1 - 0.999**step)
    return mean / (np.sqrt(square) + epsilon) + decay * weight


def lamb(gradient, weight, decay, state, step):
    direction = adamw(gradient, weight, decay, state, step, epsilon=1e-6)
    of_weight, of_direction = np.linalg.norm(weight), np.linalg.norm(direction)
    return direction * (of_weight / of_direction if decay and of_weight and of_direction else 1)


KINDS = {
    "momentum": (lambda **arguments: SGD(rates(), momentum=0.9, **arguments), sgd(False)),
    "nesterov": (lambda **arguments: SGD(rates(), momentum=0.9, nesterov=True, **arguments), sgd(True)),
    "adamw": (lambda **arguments: AdamW(rates(), **arguments), adamw),
    "lamb": (lambda **arguments: Lamb(rates(), **arguments), lamb),
}


def assert_equal_weights(given, wanted, tolerance=1e-5):
    assert given.keys() == wanted.keys()
    for name, value in given.items():
        np.testing.assert_allclose(value, wanted[name], rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spared", [(), ("gamma", "bias")])
def test_steps_are_the_published_ones(kind, spared, route):
    optimizer, direction = KINDS[kind]
    given = trained(optimizer(weight_decay=0.1, spared=spared), route)
    assert_equal_weights(given, expected(direction, decay=0.1, spared=spared))


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_factor_scales_the_whole_step_and_gradients_are_clipped_before_decay(kind, route):
    optimizer, direction = KINDS[kind]
    factors = {"kernel": 0.25, "bias": 0.0}
    given = trained(optimizer(weight_decay=0.1, spared=(), rates=factors, global_clipnorm=1.0), route)
    assert_equal_weights(given, expected(direction, decay=0.1, factors=factors, clip=1.0))
    np.testing.assert_array_equal(given["bias"], problem()[0]["bias"])


@pytest.mark.parametrize("kind", KINDS)
def test_weights_in_half_precision_move_by_steps_in_single(kind):
    optimizer, direction = KINDS[kind]
    given = trained(optimizer(weight_decay=0.1), "native", "float16")
    wanted = expected(direction, decay=0.1, spared=("gamma", "beta", "bias"))
    assert_equal_weights(given, wanted, 0.02)


@pytest.mark.skipif(not TORCH, reason="PyTorch's own optimizers")
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", ["momentum", "nesterov", "adamw"])
def test_steps_are_those_of_pytorch(kind, route):
    import torch

    weights, gradients = problem()
    parameters = {name: torch.nn.Parameter(torch.tensor(value)) for name, value in weights.items()}
    if kind == "adamw":
        theirs = torch.optim.AdamW(parameters.values(), lr=0.1, weight_decay=0.1)
    else:
        theirs = torch.optim.SGD(
            parameters.values(), lr=0.1, momentum=0.9, nesterov=kind == "nesterov", weight_decay=0.1
        )
    for rate, step in zip(RATES, gradients, strict=True):
        theirs.param_groups[0]["lr"] = rate
        for name, parameter in parameters.items():
            parameter.grad = torch.tensor(step[name])
        theirs.step()
    given = trained(KINDS[kind][0](weight_decay=0.1, spared=()), route)
    assert_equal_weights(given, {name: p.detach().numpy() for name, p in parameters.items()}, 1e-6)


def dense(optimizer) -> keras.Model:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4, "relu"), keras.layers.Dense(2)])
    model.compile(optimizer, "mse")
    return model


def samples(count=32):
    rng = np.random.default_rng(2)
    return rng.normal(size=(count, 6)).astype("float32"), rng.normal(size=(count, 2)).astype("float32")


@pytest.mark.parametrize("kind", [SGD, Lamb])
def test_accumulated_steps_are_those_of_the_large_batch(kind):
    """Also: a schedule counts batches, so that step n takes the rate of batch 4 n + 3."""
    models = []
    for steps in (None, 4):
        schedule = keras.optimizers.schedules.PiecewiseConstantDecay([0 if steps is None else 3], [0.1, 0.03])
        arguments = {"weight_decay": 0.1, "global_clipnorm": 0.5, "use_ema": True, "ema_momentum": 0.8}
        model = dense(kind(schedule, gradient_accumulation_steps=steps, **arguments))
        model.fit(*samples(), batch_size=16 // (steps or 1), epochs=2, shuffle=False, verbose=0)
        models.append(model)
    large, small = models
    assert int(small.optimizer.iterations) == int(large.optimizer.iterations) == 4
    averages = [m.optimizer._model_variables_moving_average for m in models]
    for pair in (*zip(large.weights, small.weights, strict=True), *zip(*averages, strict=True)):
        np.testing.assert_allclose(*map(keras.ops.convert_to_numpy, pair), rtol=1e-4, atol=1e-6)


def test_the_average_follows_the_weights_and_stays_beside_them():
    model = dense(SGD(0.1, use_ema=True, ema_momentum=0.8))
    average = None
    for _ in range(4):
        model.fit(*samples(), batch_size=32, verbose=0)
        weights = [keras.ops.convert_to_numpy(v).copy() for v in model.trainable_variables]
        average = weights if average is None else [0.8 * a + 0.2 * w for a, w in zip(average, weights, strict=True)]
    for given, wanted in zip(model.optimizer._model_variables_moving_average, average, strict=True):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(given), wanted, rtol=1e-5, atol=1e-6)
    assert np.abs(average[0] - weights[0]).max() > 1e-3


def test_training_in_mixed_half_precision_scales_the_loss():
    models = []
    for dtype in ("mixed_float16", "float32"):
        with keras_config(dtype):
            model = dense(SGD(0.05, nesterov=True, weight_decay=0.1))
            model.fit(*samples(), batch_size=8, epochs=2, shuffle=False, verbose=0)
        models.append(model)
    assert isinstance(models[0].optimizer, keras.optimizers.LossScaleOptimizer)
    for pair in zip(*(model.weights for model in models), strict=True):
        np.testing.assert_allclose(*map(keras.ops.convert_to_numpy, pair), rtol=0.02, atol=0.005)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (SGD, {"momentum": 0.5, "nesterov": True}),
        (AdamW, {"beta_1": 0.5, "beta_2": 0.6, "epsilon": 0.1}),
        (Lamb, {"beta_1": 0.5, "beta_2": 0.6, "epsilon": 0.1}),
    ],
)
def test_a_configuration_makes_the_same_optimizer(kind, fields):
    shared = {"weight_decay": 0.1, "spared": ("bias",), "rates": {"kernel": 0.5}, "global_clipnorm": 1.0}
    optimizer = kind(rates(), **fields, **shared)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert type(again) is kind
    assert again.get_config() == optimizer.get_config()
    assert_equal_weights(trained(again, "native"), trained(optimizer, "native"), 0)


def test_rates_of_unknown_weights_are_refused():
    with pytest.raises(ValueError, match=r"`rates` must have paths of trained weights.*Received: \['karnel'\]"):
        trained(SGD(0.1, rates={"karnel": 0.1, "kernel": 1.0}), "native")


def test_layers_further_from_the_head_learn_more_slowly():
    network = ResNeXt("resnext14_2x4d", input_shape=(32, 32, 3), classes=10)
    rates = layer_rates(network, 0.5)
    assert list(rates) == [v.path for v in network.trainable_variables]
    assert rates["predictions/bias"] == 1
    assert rates["stage5_block1_transition_norm/gamma"] == 0.5
    assert rates["stage2_block1_shortcut_conv/kernel"] == 0.5**4
    assert rates["stem_norm/beta"] == 0.5**5
    freeze(network, (1, 2))
    assert not any(path.startswith(("stem", "stage2")) for path in layer_rates(network, 0.5))
    with pytest.raises(ValueError, match=r"above 0 and at most 1. Received: 1.5"):
        layer_rates(network, 1.5)


def test_a_network_of_three_stages_counts_from_its_last():
    rates = layer_rates(ResNeXt("resnet20", classes=10), 0.5)
    assert {rates["stem_conv/kernel"], min(rates.values())} == {0.5**4}
