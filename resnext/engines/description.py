"""The description inside an exported file, and the hash that reveals damage."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from resnext.checksums import CHANGED, SHA256, digest_of
from resnext.errors import WeightsError, one_line
from resnext.images.preprocessing import Preprocessing
from resnext.variants.variant import Variant
from resnext.weights.timm_config import LabelsOfImage, checked_names

InputKind = Literal["uint8", "normalised"]
MAX_METADATA = 8_000_000  # characters
ENSEMBLE = "ensemble"  # the networks whose logits are averaged
LABELS, THRESHOLDS = "labels", "thresholds"  # of an image with any number of classes
SIZE = "size"  # "any" if the file takes images of any size
FACTS = (
    "model",
    "resnext",
    "recipe",
    "data",
    "started_from",
    "versions",
    "weights",
    "licence",
    "quantisation",
    ENSEMBLE,
    LABELS,
    THRESHOLDS,
    SIZE,
)
DESCRIPTION_SHA256 = "description_sha256"  # of everything else in the description, SHA256 among it
KNOWN = ("variant", "classes", "preprocessing", "input", *FACTS)  # names in the metadata of a file


@dataclass(frozen=True)
class Description:
    """The description inside an exported file, as `resnext export` writes it.

    Args:
        variant: network.
        classes: names of the classes.
        preprocessing: how images are prepared up to the input.
        input: "uint8" if the file normalises images itself, else "normalised".
        facts: recipe, source, versions and licence, for people.
    """

    variant: Variant
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    input: InputKind
    facts: dict[str, Any]

    @property
    def several(self) -> bool:
        """Whether an image may have any number of classes: the probabilities are sigmoids, not a softmax."""
        return LabelsOfImage.of(self.facts, len(self.classes)).several

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The probability from which an image has each class, if it may have several; else none."""
        return LabelsOfImage.of(self.facts, len(self.classes)).thresholds

    @property
    def any_size(self) -> bool:
        """Whether the file takes images of any size; the preprocessing has the one of the training."""
        return self.facts.get(SIZE) == "any"

    def to_document(self) -> dict[str, Any]:
        """Return the description, ready for `json.dumps`."""
        return {
            "variant": dataclasses.asdict(self.variant),
            "classes": list(self.classes),
            "preprocessing": self.preprocessing.to_json(),
            "input": self.input,
            **self.facts,
        }

    def to_metadata(self, network: bytes | None = None) -> dict[str, str]:
        """Return the description as strings by name, with its own hash and the network's (`check_sha256`)."""
        digest = {} if network is None else {SHA256: hashlib.sha256(network).hexdigest()}
        document = self.to_document() | digest
        metadata = {name: json.dumps(value, ensure_ascii=False) for name, value in document.items()}
        return metadata | {DESCRIPTION_SHA256: digest_of(metadata)}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], path: Path | bytes) -> Description:
        """Return the description in a file's metadata. Raises WeightsError if it is absent or damaged."""
        try:
            if sum(map(len, metadata.values())) > MAX_METADATA:
                raise ValueError(f"more than {MAX_METADATA:,} characters")
            known = [name for name in metadata if name in KNOWN]  # other tools add their own
            own = {name: metadata[name] for name in (*known, *({SHA256} & {*metadata}))}
            if metadata.get(DESCRIPTION_SHA256) not in (None, digest_of(own)):
                raise ValueError(CHANGED)
            document = {name: json.loads(metadata[name]) for name in known}
            kind = document.pop("input")
            if kind not in ("uint8", "normalised"):
                raise ValueError(f"input {kind!r}")
            names = checked_names(document.pop("classes"))
            LabelsOfImage.of(document, len(names))
            return cls(
                Variant.from_json(document.pop("variant")),
                names,
                Preprocessing.from_json(document.pop("preprocessing")),
                kind,
                document,
            )
        except KeyError as error:
            raise WeightsError(
                f"{path}: was not exported by resnext (it has no {error.args[0]}). Pass a file of `resnext export`."
            ) from error
        except (ValueError, TypeError, RecursionError) as error:
            raise WeightsError(f"{path}: its description is damaged ({one_line(error)}). Export it again.") from error

    def check_shapes(
        self, images: Sequence[Any], probabilities: Sequence[Any], path: Path | bytes, channels_last: bool
    ) -> None:
        """Refuse a file whose network differs from its description. Raises WeightsError."""
        size = self.preprocessing.size
        of_pixels, of_network = self.preprocessing.pixel_channels, self.preprocessing.channel_count
        channels = of_pixels if self.input == "uint8" else of_network
        if self.any_size:  # whatever the runtime calls them, the sides of these images are open
            size = "any"
            images = [side if isinstance(side, int) and side == channels else size for side in images]
        expected = [size, size, channels] if self.input == "uint8" or channels_last else [channels, size, size]
        if [*images[1:]] != expected or [*probabilities[1:]] != [len(self.classes)]:
            raise WeightsError(
                f"{path}: its network takes images {[*images[1:]]} and returns {[*probabilities[1:]]} probabilities; "
                f"its description has {expected} and {len(self.classes)}. Export it again."
            )


def check_sha256(metadata: Mapping[str, str], content: bytes | memoryview) -> None:
    """Raise ValueError if a network is not the described one; older files have no hash."""
    if SHA256 in metadata and json.loads(metadata[SHA256]) != hashlib.sha256(content).hexdigest():
        raise ValueError(CHANGED)
