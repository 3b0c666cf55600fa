"""Save weights as form c has them: safetensors, the same bytes for the same values, or PyTorch's format."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from resnext.errors import missing_package
from resnext.files import write_atomically
from resnext.images.preprocessing import Preprocessing
from resnext.weights.assign import get_weights
from resnext.weights.published import PublishedWeights

if TYPE_CHECKING:
    import keras

UNTRACED = ("shortcut", "stem_pool", "anti_aliasing", "activation")  # facts that shapes do not tell, or not all
TORCH_SUFFIXES = (".pth", ".pt", ".bin")


def save_weights(model: keras.Model, path: str | Path) -> None:
    """Write the weights to a safetensors file, as form c has them; an old file stays intact until the new one is.

    >>> save_weights(network, "network.safetensors")  # doctest: +SKIP
    """
    write_weights(Path(path), get_weights(model), _metadata_of(model))


def weights_to_bytes(model: keras.Model) -> bytes:
    """Return what `save_weights` writes to a safetensors file."""
    return to_bytes(get_weights(model), _metadata_of(model))


def to_bytes(weights: Mapping[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    """Return the same bytes for the same values; safetensors itself writes metadata in a random order."""
    from safetensors.numpy import save

    content = save(dict(weights), metadata=metadata)
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(metadata.items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text = text.ljust(-(-len(text) // 8) * 8)  # tensors begin at a multiple of eight
    return len(text).to_bytes(8, "little") + text + content[end:]


def _metadata_of(model: keras.Model) -> dict[str, str]:
    variant, preprocessing = getattr(model, "variant", None), getattr(model, "preprocessing", None)
    facts = {fact: getattr(variant, fact) for fact in UNTRACED} if variant else {}
    return file_metadata(facts, preprocessing)


def file_metadata(
    facts: dict[str, Any], preprocessing: Preprocessing | None, known: PublishedWeights | None = None
) -> dict[str, str]:
    """Return what a file holds beside its tensors: facts of the network, its images, and the tag of its weights."""
    metadata = {"format": "resnext"}
    if facts:
        metadata["network"] = json.dumps(facts)
    if preprocessing:
        metadata["preprocessing"] = json.dumps(preprocessing.to_json())
    if known:
        metadata["weights"] = known.tag
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
        if array.dtype.name == "bfloat16":  # NumPy's comes from another package, which PyTorch does not know
            return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(array)

    stream = io.BytesIO()
    torch.save({name: tensor(array) for name, array in weights.items()}, stream)
    return stream.getvalue()
