"""Load weights strictly: exactly the tensors of the network, or else report a list of the differences."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from resnext.errors import WeightsError, printable
from resnext.images.preprocessing import Preprocessing
from resnext.variants.variant import Variant
from resnext.weights.foreign_names import HEAD, Location, Shape, Shapes, stem_kernel_name, their_shape
from resnext.weights.hub import other_network
from resnext.weights.readers import FLOATS
from resnext.weights.variables import assign_weight, variables_by_name, weight_shapes
from resnext.weights.weights_file import WeightsFile, counters, open_weights

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

MAX_ODDS = 1_000  # tensors that an error lists
SCREEN = 20  # lines after which the reason has scrolled off the screen


class Checked(NamedTuple):
    """Weights in an open file that fit a network."""

    value: Callable[[str], np.ndarray | None]  # a weight by resnext's name; None if it keeps its initial value
    preprocessing: Preprocessing | None  # of images for these weights; None if unknown
    notes: list[str]  # adaptations, in words


def assign(model: keras.Model, weights: Checked) -> None:
    """Assign checked weights one at a time, so that a large network is never in memory twice, and log each note.

    Raises WeightsError if one of them is not finite; then none is assigned.
    """
    for name in variables_by_name(model):
        weights.value(name)
    for name, variables in variables_by_name(model).items():
        value = weights.value(name)
        if value is not None:
            assign_weight(name, variables, value)
    for note in weights.notes:
        logger.warning(note)


class Adapted(NamedTuple):
    """The weights of a file and of a network, after one of them was adapted to the other."""

    found: dict[str, Location]
    expected: dict[str, Shape]
    notes: list[str]


def load_weights(model: keras.Model, source: str | Path) -> None:
    """Load weights into a network of the same variant, in any equivalent form.

    Args:
        model: network that `ResNeXt` or `backbone` built. One without a head accepts a file with one.
        source: file, run folder, folder from huggingface.co, `hf:OWNER/NAME`, or the tag of published weights.

    Raises:
        WeightsError: the source cannot be read, or its tensors are not exactly the network's. A tensor that only the
            file has is listed with `+`, one that only the network has with `-`; nothing is loaded then.
    """
    variant = getattr(model, "variant", None)
    with open_weights(source, variant) as file:
        weights = check_weights(file, weight_shapes(model), variant)
        assign(model, weights)
        if variant:
            model.preprocessing = weights.preprocessing


def check_weights(file: WeightsFile, expected: Shapes, variant: Variant | None, new_head: bool = False) -> Checked:
    """Return the weights of a file for a network with these names and shapes; refuse every difference.

    Args:
        file: open file.
        expected: names and shapes of the network's weights.
        variant: variant of the network, if it is known.
        new_head: whether to leave out a head of a different size, and report it.

    Raises:
        WeightsError: as in `load_weights`.
    """
    ignored = set(counters(expected))
    found = {name: location for name, location in file.found.items() if name not in ignored}
    found, wanted, notes = adapt_head(file.path, found, expected, new_head)
    found, wanted, more = adapt_stem(file.path, found, wanted)
    check_network(file, found, wanted, variant)
    check_fit(file, found, wanted)
    check_floats(file, found)
    check_same_function(file, variant)
    return Checked(
        lambda name: file.value(found[name]) if name in wanted else None,
        file.preprocessing(),
        [*file.notes, *notes, *more],
    )


def adapt_head(path: Path, found: Mapping[str, Location], expected: Shapes, new_head: bool) -> Adapted:
    """Leave out the file's head if the network has none, and a head of a different size if allowed."""
    without = {name: location for name, location in found.items() if name not in HEAD}
    if HEAD[0] not in expected:
        return Adapted(without, dict(expected), [])
    theirs = {name: found[name].shape for name in HEAD if name in found}
    ours = {name: expected[name] for name in HEAD if name in expected}
    if theirs == ours or not new_head:
        return Adapted(dict(found), dict(expected), [])
    note = f"{heads(path, found, expected)}: its head is new."
    return Adapted(without, {name: shape for name, shape in expected.items() if name not in HEAD}, [note])


def heads(path: Path, found: Mapping[str, Location], expected: Shapes) -> str:
    """Describe the two heads."""
    features, classes = expected[HEAD[0]]
    theirs = found.get(HEAD[0])
    if theirs is None or len(theirs.shape) != 2:
        return f"{path} has no head, the network {classes:,}"
    if theirs.shape[1] == classes:  # weights for each position
        seen = theirs.shape[0]
        return f"{path} has a head for images of another size, of {seen:,} features, the network of {features:,}"
    return f"{path} has {theirs.shape[1]:,} classes, the network {classes:,}"


def adapt_stem(path: Path, found: Mapping[str, Location], expected: Shapes) -> Adapted:
    """Adapt the kernel for colour images to another number of channels: summed for one channel, repeated for more.

    As timm does: n channels get the kernel's three in turn, times 3 / n, so that grey images yield the same result.
    """
    name = stem_kernel_name(expected)
    location, channels = found.get(name), expected[name][2]
    if location is None or len(location.shape) != 4 or location.shape[2] != 3 or channels == 3:
        return Adapted(dict(found), dict(expected), [])

    def build(*arrays: np.ndarray) -> np.ndarray:
        kernel = location.build(*arrays)
        if channels == 1:
            return kernel.sum(axis=2, keepdims=True)
        repeated = np.tile(kernel, (1, 1, -(-channels // 3), 1))[:, :, :channels]
        return repeated * np.asarray(3 / channels, kernel.dtype)

    height, width, _, filters = location.shape
    adapted = Location(location.names, (height, width, channels, filters), build)
    note = f"{path} is for 3 input channels, the network has {channels}: its stem is adapted."
    return Adapted({**found, name: adapted}, dict(expected), [note])


def check_network(file: WeightsFile, found: Mapping[str, Location], expected: Shapes, variant: Variant | None) -> None:
    """Refuse the weights of another network by its name, if the file fits exactly one. Raises WeightsError."""
    if variant is None or {name: location.shape for name, location in found.items()} == dict(expected):
        return
    shapes = {name: location.shape for name, location in found.items() if name not in HEAD}
    theirs = file.variant()
    if theirs is None or theirs.name == variant.name:
        return
    whole = {name: shape for name, shape in file.shapes_of(theirs).items() if name not in HEAD}
    if shapes == whole:
        raise other_network(file.path, theirs.name, variant)


def check_fit(file: WeightsFile, found: Mapping[str, Location], expected: Shapes) -> None:
    """Refuse any difference between a file and a network, in the file's own names. Raises WeightsError."""
    layout = file.layout

    def of_file(name: str) -> str:
        return f"+ {printable(found[name].names[0], 100)} {their_shape(found[name].shape, layout)}"

    def of_network(name: str) -> str:
        theirs = layout.their_name(name)  # resnext's name if the file's network has no such layer
        return f"- {theirs} {expected[name] if theirs == name else their_shape(expected[name], layout)}"

    shared = [name for name in sorted(found.keys() & expected.keys()) if found[name].shape != expected[name]]
    odds = [of_file(name) for name in sorted(found.keys() - expected.keys())]
    odds += [of_network(name) for name in sorted(expected.keys() - found.keys())]
    odds += [f"{of_file(name)}\n{of_network(name)}" for name in shared]
    if not odds:
        return
    only_heads = {*shared, *(found.keys() ^ expected.keys())} <= {*HEAD} and HEAD[0] in expected
    is_whole = len({name in found for name in HEAD if name in expected}) == 1
    if only_heads and is_whole and (HEAD[0] in shared or HEAD[0] not in found):
        if file.classes == expected[HEAD[0]][-1] and HEAD[0] in shared:
            raise WeightsError(f"{heads(file.path, found, expected)}. Use images of the size that it was trained at.")
        keep = f"Pass classes={file.classes} to keep that head. " if file.classes else ""
        raise WeightsError(
            f"{heads(file.path, found, expected)}. {keep}For a new, untrained head pass the number of classes to "
            "ResNeXt(..., weights=..., classes=...)."
        )
    count = len(odds)
    odds[MAX_ODDS:] = [f"... and {len(odds) - MAX_ODDS:,} more"] if len(odds) > MAX_ODDS else []
    if not expected.keys() - found.keys() and not shared:
        odds.append("All of these are in the file only. Save the network's tensors alone.")
    elif count > SCREEN:
        odds.append(f"{file.path}: {count:,} tensors, listed above, are not the network's. Nothing was loaded.")
    lines = "\n".join(odds)
    raise WeightsError(f"{file.path}: these tensors are not the network's (+ the file's, - the network's):\n{lines}")


def check_floats(file: WeightsFile, found: Mapping[str, Location]) -> None:
    """Refuse weights that are not floating-point numbers. Raises WeightsError."""
    names = sorted(name for location in found.values() for name in location.names)
    others = [f"{name} {file.tensors.dtypes[name]}" for name in names if file.tensors.dtypes[name] not in FLOATS]
    if others:
        raise WeightsError(f"{file.path}: weights must be {', '.join(FLOATS)}; these are not: {', '.join(others)}")


def check_same_function(file: WeightsFile, variant: Variant | None) -> None:
    """Refuse weights whose shapes fit but whose network computes another function. Raises WeightsError."""
    for fact, value in file.facts().items():
        if variant and getattr(variant, fact) != value:
            raise WeightsError(
                f"{file.path}: these weights are for {fact}={value!r}, "
                f"the network {variant.name} has {getattr(variant, fact)!r}."
            )
