"""The optimizers of published trainings: weight decay and learning rate are applied where PyTorch applies them.

Keras's SGD subtracts the decay from the weights separately from the velocity. Published ones add it to the gradient,
where momentum multiplies it by 1 / (1 - momentum). Keras's Lamb leaves the decay out of the trust ratio. Schedules,
clipping, accumulation and loss scaling are Keras's own. In Keras 3.15 a schedule counts batches, not steps: with
`gradient_accumulation_steps=k`, step n uses the rate of batch k * n + k - 1, all counted from 0.

The route `native` updates one weight after another by Keras's operations and is the reference; `foreach`, on PyTorch,
updates many weights at once and in place. Compared with Keras's own SGD, `foreach` made a step of resnext14_8x4d 1 to 4
% longer, `native` 13 % (batch 16 of 64x64, 2-core CPU, PyTorch 2.13.0+cpu, medians of 25 steps taken in turns, about
100 ms).
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial

import keras
from keras import ops

from resnext.errors import ArgumentError
from resnext.recipes.recipe import Recipe
from resnext.variants.layer_table import stage_of

NORMS_AND_BIASES = ("gamma", "beta", "bias")


class PublishedOptimizer(keras.optimizers.Optimizer):
    """Base class of the optimizers below: each step is `weight -= learning rate * factor * direction`.

    Args:
        learning_rate: number or Keras schedule.
        weight_decay: weight decay in the direction of every weight that is not spared.
        spared: names of weights that do not decay. The original Torch recipes spare none: `()`.
        rates: factors of the learning rate by the path of a weight; 1 for other paths (see `layer_rates`).
        **arguments: those of `keras.optimizers.Optimizer`; gradients are clipped before the decay is added to them. The
            average of `use_ema` is updated once per step, also under accumulation, and is not put into the network when
            `fit` ends: `resnext.training.evaluation_weights.averaged_weights` does that and undoes it.

    Raises:
        ArgumentError: when training starts, if `rates` has paths that no trained weight has.
    """

    slots: tuple[str, ...]  # the state kept for every weight between steps

    def __init__(
        self,
        learning_rate,
        *,
        weight_decay: float = 0.0,
        spared: Sequence[str] = NORMS_AND_BIASES,
        rates: Mapping[str, float] | None = None,
        **arguments,
    ):
        super().__init__(learning_rate, **arguments)
        self.decay = weight_decay  # Keras's own `weight_decay` stays None: it is applied outside the step
        self.spared = tuple(spared)
        self.rates = dict(rates or {})

    def get_config(self):
        ours = {"weight_decay": self.decay, "spared": list(self.spared), "rates": dict(self.rates)}
        return {**super().get_config(), **ours}

    def build(self, variables):
        if self.built:
            return
        unknown = sorted(self.rates.keys() - {v.path for v in variables})
        if unknown:
            raise ArgumentError(f"`rates` must have paths of trained weights (see `layer_rates`). Received: {unknown}")
        super().build(variables)
        self.decays = [0.0 if v.name in self.spared else self.decay for v in variables]
        self.factors = [self.rates.get(v.path, 1.0) for v in variables]
        self.state = self.add_optimizer_variables(variables, list(self.slots))
        wide = all(keras.backend.standardize_dtype(v.dtype) in ("float32", "float64") for v in variables)
        self.route = "foreach" if keras.backend.backend() == "torch" and wide else "native"

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        if self.route == "foreach":
            self._foreach(grads, trainable_variables, float(learning_rate))
        else:
            super()._backend_update_step(grads, trainable_variables, learning_rate)

    def _foreach(self, grads, variables, learning_rate: float):
        import torch

        groups = defaultdict(list)
        for gradient, variable in zip(grads, variables, strict=True):
            index = self._get_variable_index(variable)
            tensors = [gradient, variable.value, *(slot[index].value for slot in self.state)]
            groups[self.decays[index], self.factors[index]].append(tensors)
        with torch.no_grad():
            for (decay, factor), group in groups.items():
                self.foreach(torch, learning_rate * factor, decay, *map(list, zip(*group, strict=True)))

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        state = [slot[index] for slot in self.state]
        dtype = keras.backend.result_type(keras.backend.standardize_dtype(variable.dtype), "float32")
        gradient, weight, *values = (ops.stop_gradient(ops.cast(v, dtype)) for v in (gradient, variable, *state))
        direction, *values = self.direction(gradient, weight, self.decays[index], *values)
        for slot, value in zip(state, values, strict=True):
            self.assign(slot, value)
        self.assign(variable, weight - ops.cast(learning_rate, dtype) * self.factors[index] * direction)

    def direction(self, gradient, weight, decay: float, *state) -> tuple:
        """Return the direction of a weight's step, and its new state."""
        raise NotImplementedError

    def foreach(self, torch, rate: float, decay: float, gradients: list, weights: list, *state: list) -> None:
        """Update PyTorch's tensors by `direction`, in place."""
        raise NotImplementedError

    def _update_model_variables_moving_average(self, trainable_variables):
        # Keras updates the average once per batch: with k batches in a step, its momentum would be to the power of k.
        done = self._iterations + 1
        steps = self.gradient_accumulation_steps or 1
        momentum = ops.where(done == steps, 0.0, ops.where(done % steps == 0, self.ema_momentum, 1.0))
        for variable, average in zip(trainable_variables, self._model_variables_moving_average, strict=True):
            dtype = keras.backend.result_type(keras.backend.standardize_dtype(variable.dtype), "float32")
            old, new = (ops.stop_gradient(ops.cast(v, dtype)) for v in (average, variable))
            share = ops.cast(momentum, dtype)
            average.assign(share * old + (1 - share) * new)

    def finalize_variable_values(self, var_list):
        """Leave the weights as trained. Keras would replace them with their average, which cannot be undone."""


@keras.saving.register_keras_serializable(package="resnext")
class SGD(PublishedOptimizer):
    """PyTorch's `torch.optim.SGD`, with which ResNet and ResNeXt were trained; the decay is part of the gradient.

    g = gradient + decay * w;  v = momentum * v + g;  w -= learning rate * (g + momentum * v), or * v without Nesterov.

    Args:
        learning_rate: as in `PublishedOptimizer`, as are the others.
        momentum: at least 0 and below 1.
        nesterov: whether to look ahead: g + momentum * v.

    >>> SGD(0.1, momentum=0.9, nesterov=True, weight_decay=1e-4, spared=()).momentum
    0.9
    """

    slots = ("velocity",)

    def __init__(self, learning_rate=0.1, *, momentum: float = 0.9, nesterov: bool = False, **arguments):
        super().__init__(learning_rate, **arguments)
        self.momentum = momentum
        self.nesterov = nesterov

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}

    def direction(self, gradient, weight, decay, *state):
        (velocity,) = state
        gradient = gradient + decay * weight if decay else gradient
        velocity = self.momentum * velocity + gradient
        return gradient + self.momentum * velocity if self.nesterov else velocity, velocity

    def foreach(self, torch, rate, decay, gradients, weights, *state):
        (velocities,) = state
        torch._foreach_mul_(velocities, self.momentum)
        torch._foreach_add_(velocities, gradients)
        if decay:
            torch._foreach_add_(velocities, weights, alpha=decay)
        if self.nesterov:
            if decay:
                torch._foreach_mul_(weights, 1 - rate * decay)
            torch._foreach_add_(weights, gradients, alpha=-rate)
        torch._foreach_add_(weights, velocities, alpha=-rate * self.momentum if self.nesterov else -rate)


@keras.saving.register_keras_serializable(package="resnext")
class AdamW(PublishedOptimizer):
    """PyTorch's `torch.optim.AdamW` (Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101).

    m and v are the means of gradient and gradient^2, corrected for their start at zero;
    w -= learning rate * (m / (sqrt(v) + epsilon) + decay * w).

    Args:
        learning_rate: as in `PublishedOptimizer`, as are the others.
        beta_1: momentum of m.
        beta_2: momentum of v.
        epsilon: added to the corrected square root, as in Algorithm 2; Keras adds it before the correction.

    >>> AdamW(1e-3, weight_decay=0.05).beta_2
    0.999
    """

    slots = ("momentum", "velocity")

    def __init__(
        self,
        learning_rate=1e-3,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        **arguments,
    ):
        super().__init__(learning_rate, **arguments)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def get_config(self):
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}

    def direction(self, gradient, weight, decay, *state):
        mean, square = state
        step = ops.cast(self.iterations + 1, weight.dtype)
        mean = self.beta_1 * mean + (1 - self.beta_1) * gradient
        square = self.beta_2 * square + (1 - self.beta_2) * gradient * gradient
        scale = ops.sqrt(square / _weights_so_far(self.beta_2, step)) + self.epsilon
        return mean / _weights_so_far(self.beta_1, step) / scale + decay * weight, mean, square

    def foreach(self, torch, rate, decay, gradients, weights, *state):
        directions = self._directions(torch, decay, gradients, weights, *state)
        torch._foreach_add_(weights, directions, alpha=-rate)

    def _directions(self, torch, decay, gradients, weights, means, squares):
        step = int(self.iterations) + 1
        torch._foreach_lerp_(means, gradients, 1 - self.beta_1)
        torch._foreach_mul_(squares, self.beta_2)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - self.beta_2)
        scales = torch._foreach_sqrt(squares)
        torch._foreach_mul_(scales, (1 - self.beta_1**step) / (1 - self.beta_2**step) ** 0.5)
        torch._foreach_add_(scales, (1 - self.beta_1**step) * self.epsilon)
        directions = torch._foreach_div(means, scales)
        if decay:
            torch._foreach_add_(directions, weights, alpha=decay)
        return directions


def _weights_so_far(beta: float, step):
    """Return 1 - beta^step, the divisor that corrects a mean that started at zero."""
    # In float32, 1 - 0.999 is wrong from its fifth digit on.
    return -ops.expm1(step * math.log(beta)) if beta else ops.ones_like(step)


@keras.saving.register_keras_serializable(package="resnext")
class Lamb(AdamW):
    """LAMB (You et al. 2019, https://arxiv.org/abs/1904.00962, Algorithm 2): AdamW's direction at the weight's norm.

    r = AdamW's direction, with the decay in it;  w -= learning rate * |w| / |r| * r, for each weight separately. The
    ratio is 1 if a norm is 0, and for weights that do not decay, as in NVIDIA's and timm's versions, with which "ResNet
    strikes back" trained (https://arxiv.org/abs/2110.00476). Its Table 2 has no clipping, and neither have the recipes
    here; timm's own default is `global_clipnorm=1.0`.

    Args: as in `AdamW`.

    >>> Lamb(5e-3, weight_decay=0.02, global_clipnorm=1.0).epsilon
    1e-06
    """

    def __init__(self, learning_rate=5e-3, *, epsilon: float = 1e-6, **arguments):
        super().__init__(learning_rate, epsilon=epsilon, **arguments)

    def direction(self, gradient, weight, decay, *state):
        direction, *state = super().direction(gradient, weight, decay, *state)
        if not decay:
            return direction, *state
        of_weight, of_direction = (
            ops.norm(ops.reshape(v, (-1,))) for v in (weight, direction)
        )  # TensorFlow refuses 4-d
        defined = ops.logical_and(of_weight > 0, of_direction > 0)
        ratio = ops.where(defined, of_weight / ops.where(defined, of_direction, 1.0), 1.0)
        return ops.cast(ratio, weight.dtype) * direction, *state

    def foreach(self, torch, rate, decay, gradients, weights, *state):
        directions = self._directions(torch, decay, gradients, weights, *state)
        if decay:
            ratios = torch.stack(torch._foreach_norm(weights)) / torch.stack(torch._foreach_norm(directions))
            ratios = torch.where(torch.isfinite(ratios) & (ratios > 0), ratios, 1.0)
            torch._foreach_mul_(directions, list(ratios.unbind()))
        torch._foreach_add_(weights, directions, alpha=-rate)


def build_optimizer(recipe: Recipe, rates, network: keras.Model) -> keras.optimizers.Optimizer:
    """Build the optimizer of a recipe.

    Args:
        recipe: training recipe to use.
        rates: learning rate, or a schedule of it.
        network: network whose layers may have their own rates; its stages are already frozen.
    """
    kinds = {
        "sgd": partial(SGD, momentum=recipe.momentum, nesterov=recipe.nesterov),
        "adamw": AdamW,
        "lamb": Lamb,
        "lbfgs": partial(SGD, momentum=0.0),  # takes no step: `resnext.training.probe` fits the head
    }
    return kinds[recipe.optimizer](
        rates,
        weight_decay=recipe.weight_decay,
        spared=() if recipe.decay_all else NORMS_AND_BIASES,
        rates=layer_rates(network, recipe.layer_decay) if recipe.layer_decay < 1 else None,
        global_clipnorm=recipe.clip_norm,
        gradient_accumulation_steps=recipe.accumulate if recipe.accumulate > 1 else None,
        use_ema=bool(recipe.ema),
        ema_momentum=recipe.ema,
    )


def layer_rates(network: keras.Model, decay: float) -> dict[str, float]:
    """Return layer-wise learning rates for fine-tuning: the further a stage is from the head, the less it changes.

    The head has the factor 1, and each stage `decay` times the factor of the one above it: with five stages, the last
    has `decay`, and the stem, stage 1, `decay`^5 (as Bao et al. 2021, https://arxiv.org/abs/2106.08254, do with the
    layers of BEiT).

    Args:
        network: network that `ResNeXt` built; freeze stages first.
        decay: above 0, at most 1.

    Returns:
        A factor for the path of every trained weight, for `rates` of the optimizers.

    Raises:
        ArgumentError: the decay is outside these bounds.

    >>> from resnext import ResNeXt
    >>> layer_rates(ResNeXt("resnext14_2x4d", input_shape=(32, 32, 3), classes=10), 0.5)["stem_conv/kernel"]
    0.03125
    """
    if not 0 < decay <= 1:
        raise ArgumentError(f"`decay` must be above 0 and at most 1. Received: {decay}")
    stages = {v.path: stage_of(v.path) for v in network.trainable_variables}
    above = 1 + max((stage for stage in stages.values() if stage), default=0)
    return {path: decay ** (above - stage) if stage else 1.0 for path, stage in stages.items()}
