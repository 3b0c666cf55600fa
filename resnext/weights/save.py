"""Save weights as in form c: in safetensors, with the same bytes for the same values, or in PyTorch's format."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from resnext.checksums import METADATA, with_tensors_sha256
from resnext.errors import ArgumentError, OutputError, missing_package
from resnext.files import user_path, write_atomically
from resnext.images.preprocessing import Preprocessing
from resnext.weights.foreign_names import facts_of
from resnext.weights.published import PublishedWeights
from resnext.weights.readers import TORCH_SUFFIXES
from resnext.weights.variables import get_weights

if TYPE_CHECKING:
    import keras


def save_weights(model: keras.Model, path: str | Path) -> None:
    """Write the weights to a safetensors file, as in form c; an old file stays intact until the new one is complete.

    Args:
        model: network that `ResNeXt` or `backbone` built.
        path: file to write, .safetensors.

    Raises:
        ArgumentError: the model or the suffix is of another kind, or the folder does not exist.

    >>> save_weights(network, "network.safetensors")  # doctest: +SKIP
    """
    path = user_path(path)
    check_file(path, (".safetensors",), "resnext")
    if getattr(model, "variant", None) is None:
        raise ArgumentError(
            f"`model` must be a network that ResNeXt or backbone built. Received: {type(model).__name__} "
            f"{model.name!r}. Save a folded network, or another model, by model.save(...)."
        )
    write_weights(path, get_weights(model), _metadata_of(model))


def check_file(path: Path, suffixes: tuple[str, ...], to: str) -> None:
    """Refuse a file that cannot be written or whose suffix belongs to another format. Raises ArgumentError."""
    if path.suffix not in suffixes:
        raise ArgumentError(f"{path}: weights for {to} are written as {', '.join(suffixes)}. Choose such a name.")
    if path.is_dir() or not path.parent.is_dir():
        reason = "a folder" if path.is_dir() else "its folder does not exist"
        raise OutputError(f"{path}: {reason}. Pass a file in an existing folder.")


def weights_to_bytes(model: keras.Model) -> bytes:
    """Return the content of the safetensors file that `save_weights` writes."""
    return to_bytes(get_weights(model), _metadata_of(model))


def to_bytes(weights: Mapping[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    """Return safetensors content, the same bytes for the same values; the library itself orders metadata at random."""
    from safetensors.numpy import save

    content = save(dict(weights), metadata=metadata)
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header[METADATA] = dict(sorted(metadata.items()))
    header = with_tensors_sha256(header, content[end:])
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text = text.ljust(-(-len(text) // 8) * 8)  # tensors begin at a multiple of eight
    return len(text).to_bytes(8, "little") + text + content[end:]


def _metadata_of(model: keras.Model) -> dict[str, str]:
    variant, preprocessing = getattr(model, "variant", None), getattr(model, "preprocessing", None)
    facts = facts_of(variant) if variant else {}
    names, several = getattr(model, "class_names", None), getattr(model, "labels", "one") == "several"
    return file_metadata(facts, preprocessing, class_names=names, several=several)


def file_metadata(
    facts: dict[str, Any],
    preprocessing: Preprocessing | None,
    known: PublishedWeights | None = None,
    class_names: Sequence[str] | None = None,
    several: bool = False,
) -> dict[str, str]:
    """Return the metadata of a file: facts about the network, its images and classes, and its tag."""
    metadata = {"format": "resnext"}
    if facts:
        metadata["network"] = json.dumps(facts)
    if preprocessing:
        metadata["preprocessing"] = json.dumps(preprocessing.to_json())
    if known:
        metadata["weights"] = known.tag
    if class_names:
        metadata["classes"] = json.dumps(class_names)
    if several:
        metadata["labels"] = "several"
    return metadata


def write_weights(path: Path, weights: Mapping[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Write weights in the format that the suffix names, atomically."""
    if path.suffix in TORCH_SUFFIXES:
        write_atomically(path, _pickled_by_torch(weights))
    else:
        write_atomically(path, to_bytes(weights, metadata))


def _pickled_by_torch(weights: Mapping[str, np.ndarray]) -> bytes:
    try:
        import torch
    except ImportError as error:
        raise missing_package("writing PyTorch's format", "torch", "torch") from error

    def tensor(array):
        if array.dtype.name == "bfloat16":  # NumPy's bfloat16 comes from a package that PyTorch does not know
            return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(array)

    stream = io.BytesIO()
    torch.save({name: tensor(array) for name, array in weights.items()}, stream)
    return stream.getvalue()
