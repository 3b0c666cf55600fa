"""What a training is between two steps: every variable, by a name that is the same in every process and backend."""

import keras
import numpy as np


def variables(classifier: keras.Model) -> dict[str, keras.Variable]:
    """All of a compiled model, by group, place and path: `model/0000/stem_conv/kernel`, `optimizer/0000/iteration`."""
    groups = {
        "model": classifier.variables,
        "optimizer": classifier.optimizer.variables,
        "metrics": classifier.metrics_variables,
    }
    return {f"{group}/{i:04}/{_path(group, v.path)}": v for group, vs in groups.items() for i, v in enumerate(vs)}


def _path(group: str, path: str) -> str:
    """Without what Keras numbers by how many there were before in this process."""
    first, *rest = path.split("/")
    return "/".join(rest if group == "optimizer" or first.startswith("seed_generator") else [first, *rest])


def take(classifier: keras.Model) -> dict[str, np.ndarray]:
    """Copies of all values. On JAX, inside `fit`, it wants `classifier.jax_state_sync()` first."""
    return {name: np.array(keras.ops.convert_to_numpy(v)) for name, v in variables(classifier).items()}


def give(classifier: keras.Model, tensors: dict[str, np.ndarray], group: str) -> None:
    """Assign one group of what `take` took, maybe on another backend: its whole numbers have other types."""
    for name, variable in variables(classifier).items():
        if name.startswith(f"{group}/"):
            value = tensors[name]
            whole = value.dtype.kind in "iu"
            variable.assign(value.astype(keras.backend.standardize_dtype(variable.dtype)) if whole else value)


def build(classifier: keras.Model, classes: int) -> None:
    """Make all the variables that a compiled model gets with its first step."""
    classifier.optimizer.build(classifier.trainable_variables)
    nothing = keras.ops.zeros((1, classes))
    classifier.compute_metrics(None, nothing, nothing)


def layout(classifier: keras.Model) -> dict[str, list[int]]:
    """The shapes of the network's and the optimizer's variables: what a checkpoint must fit."""
    shapes = {name: list(v.shape) for name, v in variables(classifier).items()}
    return {name: shape for name, shape in shapes.items() if not name.startswith("metrics/")}
