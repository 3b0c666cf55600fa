"""The variables of a training between two steps, by names that are the same in every process and on every backend."""

import keras
import numpy as np


def variables(classifier: keras.Model) -> dict[str, keras.Variable]:
    """Return all variables of a compiled model, by group, index and path: `model/0000/stem_conv/kernel`."""
    groups = {
        "model": classifier.variables,
        "optimizer": classifier.optimizer.variables,
        "metrics": classifier.metrics_variables,
    }
    return {f"{group}/{i:04}/{_path(group, v.path)}": v for group, vs in groups.items() for i, v in enumerate(vs)}


def _path(group: str, path: str) -> str:
    """Drop the per-process counter that Keras puts into variable paths."""
    first, *rest = path.split("/")
    return "/".join(rest if group == "optimizer" or first.startswith("seed_generator") else [first, *rest])


def capture(classifier: keras.Model) -> dict[str, np.ndarray]:
    """Return copies of the values of all variables."""
    return {name: np.array(keras.ops.convert_to_numpy(v)) for name, v in variables(classifier).items()}


def restore(classifier: keras.Model, tensors: dict[str, np.ndarray], group: str) -> None:
    """Assign one group of the values that `capture` returned, possibly on another backend with other integer types."""
    for name, variable in variables(classifier).items():
        if name.startswith(f"{group}/"):
            value = tensors[name]
            whole = value.dtype.kind in "iu"
            variable.assign(value.astype(keras.backend.standardize_dtype(variable.dtype)) if whole else value)


def build(classifier: keras.Model, classes: int) -> None:
    """Create the variables that a compiled model otherwise creates in its first step."""
    classifier.optimizer.build(classifier.trainable_variables)
    nothing = keras.ops.zeros((1, classes))
    classifier.compute_metrics(None, nothing, nothing)


def shapes(classifier: keras.Model) -> dict[str, list[int]]:
    """Return the shapes of the network's and the optimizer's variables, which a checkpoint must fit."""
    found = {name: list(v.shape) for name, v in variables(classifier).items()}
    return {name: shape for name, shape in found.items() if not name.startswith("metrics/")}
