"""Exported networks in their own runtimes, behind the method by which Keras's models are asked."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import importlib.util
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from resnext.errors import WeightsError, missing_package, one_line
from resnext.images.preprocessing import Preprocessing
from resnext.inference.options import EngineName
from resnext.variants.variant import Variant
from resnext.weights.hub_config import checked_names

Input = Literal["uint8", "normalised"]
MAX_METADATA = 8_000_000  # characters
FACTS = ("model", "resnext", "recipe", "data", "started_from", "versions", "weights", "licence", "quantisation")
SHA256 = "sha256"  # of what the description does not say, by which damage is seen
KNOWN = ("variant", "classes", "preprocessing", "input", *FACTS)  # names in the metadata of a file
LENGTH = "length"  # of the part of an ONNX file that the hash is of: what follows is the description
RT_INFO = ["resnext", "description"]  # place of the description in a model of OpenVINO
EXTRAS = {
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "openvino": "openvino",
    "ai_edge_litert": "litert",
    "tensorflow": "cpu",
    "torch": "torch",
}


@dataclass(frozen=True)
class Description:
    """What an exported file says of itself, as `resnext export` writes it.

    Args:
        variant: network.
        classes: names of the classes.
        preprocessing: how images are prepared up to the input.
        input: "uint8" where the file normalises images itself, else "normalised".
        facts: recipe, source, versions and licence, for people.
    """

    variant: Variant
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    input: Input
    facts: dict[str, Any]

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
        """Return the description as words by names, with the hash of a network that `check_sha256` compares."""
        digest = {} if network is None else {SHA256: hashlib.sha256(network).hexdigest()}
        document = self.to_document() | digest
        return {name: json.dumps(value, ensure_ascii=False) for name, value in document.items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], path: Path | bytes) -> Description:
        """Return the description in a file's metadata. Raises WeightsError where there is none, or it is damaged."""
        try:
            if sum(map(len, metadata.values())) > MAX_METADATA:
                raise ValueError(f"more than {MAX_METADATA:,} characters")
            known = [name for name in metadata if name in KNOWN]  # other tools that change the file add their own
            document = {name: json.loads(metadata[name]) for name in known}
            kind = document.pop("input")
            if kind not in ("uint8", "normalised"):
                raise ValueError(f"input {kind!r}")
            return cls(
                Variant.from_json(document.pop("variant")),
                checked_names(document.pop("classes")),
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
        """Refuse a file whose network is another one than it says. Raises WeightsError."""
        size = self.preprocessing.size
        expected = [size, size, 3] if self.input == "uint8" or channels_last else [3, size, size]
        if [*images[1:]] != expected or [*probabilities[1:]] != [len(self.classes)]:
            raise WeightsError(
                f"{path}: its network takes images {[*images[1:]]} and returns {[*probabilities[1:]]} probabilities; "
                f"its description has {expected} and {len(self.classes)}. Export it again."
            )


class Engine:
    """Parent of runtimes: uint8 images in, log-probabilities out, which are logits, too.

    Args:
        source: exported file, or the content of one in ONNX.
        description: what the network is; by default, and checked against it, what the file says of itself.

    Raises:
        WeightsError: the file is damaged, or was not exported by resnext.
        MissingPackageError: the runtime is not installed.
    """

    package = title = ""  # of the runtime
    channels_last = False  # whether images that are normalised already are (batch, height, width, 3)

    def __init__(self, source: Path | bytes, description: Description | None = None):
        check_installed(self.package, f"a network in {self.title}")
        with _opening(source, self.title):
            metadata, shapes = self.open(source)
        self.description = description or Description.from_metadata(metadata, source)
        if description is None:
            images, probabilities = shapes.get("images", []), shapes.get("probabilities", [])
            self.description.check_shapes(images, probabilities, source, self.channels_last)

    def open(self, source: Path | bytes) -> tuple[dict[str, str], dict[str, list[Any]]]:
        """Open the network; return its metadata, and the shapes of its inputs and outputs by name."""
        raise NotImplementedError

    def predict_on_batch(self, images: np.ndarray) -> np.ndarray:
        """Return float32 (batch, classes) for uint8 (batch, size, size, 3): logits, or logarithms of probabilities."""
        outputs = self.outputs(images)
        if "logits" in outputs:
            return outputs["logits"]
        return np.log(np.maximum(outputs["probabilities"], np.finfo(np.float32).tiny))  # 0 where it is less than that

    def outputs(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return `probabilities` and, where there are some, `logits` and `maps` (batch, classes, rows, columns)."""
        if self.description.input == "normalised":
            known = self.description.preprocessing
            mean, std = (np.array(value, np.float32) for value in (known.mean, known.std))
            images = (images / np.float32(255) - mean) / std
            images = images if self.channels_last else images.transpose(0, 3, 1, 2)
        outputs = self.run(images)
        if self.channels_last and "maps" in outputs:
            outputs["maps"] = outputs["maps"].transpose(0, 3, 1, 2)
        return outputs

    def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return all outputs by name for what the file has as its input."""
        raise NotImplementedError


class OnnxRuntime(Engine):
    """A network in ONNX Runtime, on the CPU."""

    package, title = "onnxruntime", "ONNX Runtime"

    def open(self, source: Path | bytes) -> tuple[dict[str, str], dict[str, list[Any]]]:
        import onnxruntime

        onnxruntime.set_default_logger_severity(3)  # errors only: they are raised as well
        content = source if isinstance(source, bytes) else str(source)
        self.session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        metadata = self.session.get_modelmeta().custom_metadata_map
        if isinstance(source, Path) and LENGTH in metadata:
            check_sha256(metadata, memoryview(source.read_bytes())[: int(metadata[LENGTH])])
        self.names = [output.name for output in self.session.get_outputs()]
        ends = (*self.session.get_inputs(), *self.session.get_outputs())
        return metadata, {each.name: each.shape for each in ends}

    def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(self.names, self.session.run(self.names, {"images": images}), strict=True))


class OpenVino(Engine):
    """A network in OpenVINO, on the CPU and in float32: by default OpenVINO computes in bfloat16 where the CPU can."""

    package, title, precision = "openvino", "OpenVINO", "f32"

    def open(self, source: Path | bytes) -> tuple[dict[str, str], dict[str, list[Any]]]:
        core = openvino_core()
        model = core.read_model(io.BytesIO(source) if isinstance(source, bytes) else str(source))
        metadata = json.loads(model.get_rt_info(RT_INFO).value) if model.has_rt_info(RT_INFO) else {}
        if isinstance(source, Path):
            check_sha256(metadata, source.with_suffix(".bin").read_bytes())
        how = {"INFERENCE_PRECISION_HINT": self.precision, "PERFORMANCE_HINT": "LATENCY"}  # all cores for each batch
        self.request = core.compile_model(model, "CPU", how).create_infer_request()
        ends = {name: port for port in (*model.inputs, *model.outputs) for name in port.names}
        return metadata, {name: [*map(_length, port.partial_shape)] for name, port in ends.items()}

    def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
        return {port.get_any_name(): values for port, values in self.request.infer({"images": images}).items()}


class OpenVinoBfloat16(OpenVino):
    """A network in OpenVINO in bfloat16, where the CPU can: faster, and probabilities differ in the third digit."""

    precision = "bf16"


RUNTIMES: dict[str, type[Engine]] = {
    "openvino": OpenVino,
    "onnxruntime": OnnxRuntime,
    "openvino-bfloat16": OpenVinoBfloat16,
}


@functools.cache
def openvino_core() -> Any:
    """Return OpenVINO's `Core`, one for the process and never freed.

    Its CPU plugin gives the thread that made it a larger stack for signals, and takes that away when it is freed: if
    another thread frees it, the next signal crashes the process (OpenVINO 2026.4, a CPU with AMX).
    """
    import openvino

    return openvino.Core()


def _length(side: Any) -> int | None:
    """Return the length of a side of a shape in OpenVINO; None for any."""
    return side.get_length() if side.is_static else None


def check_sha256(metadata: Mapping[str, str], content: bytes | memoryview) -> None:
    """Raise ValueError where a network is not the one that was described; older files have no hash."""
    if SHA256 in metadata and json.loads(metadata[SHA256]) != hashlib.sha256(content).hexdigest():
        raise ValueError("it is damaged, or was changed by another program")


def installed_engines() -> list[EngineName]:
    """Return the engines in float32 whose packages are installed, the fastest last."""
    names: list[EngineName] = ["keras"]
    others: tuple[EngineName, ...] = ("onnxruntime", "openvino")
    for name in others:
        if importlib.util.find_spec("onnx") is not None and importlib.util.find_spec(name) is not None:
            names.append(name)
    return names


def check_installed(package: str, what: str) -> None:
    """Raise MissingPackageError unless a package is installed."""
    if importlib.util.find_spec(package) is None:
        raise missing_package(what, package.replace("_", "-"), EXTRAS[package])


@contextlib.contextmanager
def _opening(source: Path | bytes, runtime: str) -> Iterator[None]:
    """Turn whatever a runtime raises for a damaged file into a WeightsError."""
    try:
        yield
    except Exception as error:  # of many kinds, by what is damaged
        name = "the network" if isinstance(source, bytes) else source
        raise WeightsError(f"{name}: {runtime} can't open it ({one_line(error)}). Export it again.") from error
