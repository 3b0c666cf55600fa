"""KServe's protocol, version 2, with the binary and the classification extension: bytes to images, answers to bytes.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol,
https://github.com/triton-inference-server/server/tree/main/docs/protocol
"""

from __future__ import annotations

import base64
import binascii
import gc
import json
import math
import struct
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from resnext.errors import RequestError
from resnext.metrics.probabilities import most_probable
from resnext.serving.limits import MAX_JSON, MAX_STRINGS

VERSION = "1"
HEADER_LENGTH = "inference-header-content-length"
EXTENSIONS = ("binary_tensor_data", "classification")
INPUT, OUTPUT = "images", "probabilities"
JSON_TYPES = {list: "array", dict: "object", str: "string"}
MAX_SIDES = 4  # of a shape


class Output(NamedTuple):
    """A requested output: the k most probable classes with their names or, if k is 0, all probabilities."""

    classes: int
    is_binary: bool


class InferRequest(NamedTuple):
    """A request for inference: pixels uint8 (images, size, size, 3), or the contents of image files."""

    id: str | None
    images: np.ndarray | list[bytes]
    output: Output


def parse(body: bytes, header_length: str | None, image: tuple[int, int, int], most: int) -> InferRequest:
    """Read the body of a request.

    Args:
        body: JSON, followed by tensor values if the length of the JSON is given.
        header_length: value of the HTTP header `Inference-Header-Content-Length`, or None.
        image: shape of the images of the network.
        most: most images in one request.

    Raises:
        RequestError: the message states what was received and what is allowed.
    """
    head, rest = _split(body, header_length)
    document = _json(head)
    inputs = _field(document, "inputs", list)
    tensor = inputs[0] if len(inputs) == 1 else None
    if not isinstance(tensor, dict) or tensor.get("name") != INPUT:
        raise RequestError(f"inputs must be one tensor called {INPUT}")
    shape = _shape(tensor, most)
    values = _values(tensor, rest)
    identifier = _field(document, "id", str) if "id" in document else None
    output, datatype = _output(document), _field(tensor, "datatype", str)
    if datatype == "BYTES":
        return InferRequest(identifier, _files(values, shape), output)
    sides = ", ".join(map(str, image))
    if datatype != "UINT8" or shape[1:] != [*image]:
        raise RequestError(
            f"{INPUT} must be UINT8 [n, {sides}], or BYTES [n] with image files. Received: {datatype[:20]} {shape}"
        )
    return InferRequest(identifier, _pixels(values, shape), output)


def answer(request: InferRequest, model: str, probabilities: np.ndarray, classes: tuple[str, ...]) -> tuple[bytes, int]:
    """Return the body of the answer, and the length of its JSON if values follow it, else 0.

    Args:
        request: request to answer.
        model: name of the model.
        probabilities: float32 (images, classes).
        classes: names of the classes.
    """
    if k := min(request.output.classes, len(classes)):
        best = most_probable(probabilities, k)
        words = [
            f"{row[label]:.6f}:{label}:{classes[label]}"
            for row, labels in zip(probabilities, best, strict=True)
            for label in labels
        ]
        tensor: dict[str, Any] = {"name": OUTPUT, "datatype": "BYTES", "shape": list(best.shape), "data": words}
        values = b"".join(struct.pack("<I", len(each)) + each for each in (word.encode() for word in words))
    else:
        shape = list(probabilities.shape)
        tensor = {"name": OUTPUT, "datatype": "FP32", "shape": shape, "data": probabilities.ravel().tolist()}
        values = np.ascontiguousarray(probabilities, "<f4").tobytes()
    if request.output.is_binary:
        del tensor["data"]
        tensor["parameters"] = {"binary_data_size": len(values)}
    document = {"model_name": model, "model_version": VERSION, "outputs": [tensor]}
    head = json.dumps(document | ({} if request.id is None else {"id": request.id})).encode()
    return (head + values, len(head)) if request.output.is_binary else (head, 0)


def metadata(model: str, platform: str, image: tuple[int, int, int], classes: int) -> dict[str, Any]:
    """Return the metadata of a model."""
    return {
        "name": model,
        "versions": [VERSION],
        "platform": platform,
        "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": [-1, *image]}],
        "outputs": [{"name": OUTPUT, "datatype": "FP32", "shape": [-1, classes]}],
    }


def _split(body: bytes, header_length: str | None) -> tuple[bytes, bytes]:
    length = len(body) if header_length is None else _length(header_length, len(body))
    if length > MAX_JSON:
        raise RequestError(f"the JSON has {MAX_JSON:,} bytes at most; send images by the binary extension")
    return body[:length], body[length:]


def _length(header_length: str, most: int) -> int:
    if not header_length.isdecimal() or len(header_length) > 9 or int(header_length) > most:
        raise RequestError("Inference-Header-Content-Length must be the number of bytes of the JSON at the beginning")
    return int(header_length)


def _json(text: bytes) -> dict[str, Any]:
    if text.count(b'"') > 2 * MAX_STRINGS or text.count(b"{") > MAX_STRINGS:  # they take longest to parse
        raise RequestError(f"the JSON has {MAX_STRINGS:,} strings and as many objects at most")
    gc.disable()  # it would look through a million lists again and again: five times as long
    try:
        document = json.loads(text, object_pairs_hook=_once)
    except RequestError:
        raise
    except (ValueError, RecursionError) as error:
        raise RequestError("the body must be JSON according to KServe's protocol") from error
    finally:
        gc.enable()
    if not isinstance(document, dict):
        raise RequestError("the body must be a JSON object")
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON. Raises RequestError if a name is in it twice: parsers differ in which one counts."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise RequestError("an object of the JSON has a name twice")
    return fields


def _field(document: dict[str, Any], name: str, kind: type) -> Any:
    value = document.get(name, kind())
    if not isinstance(value, kind):
        raise RequestError(f"{name} must be of JSON's type {JSON_TYPES[kind]}")
    return value


def _shape(tensor: dict[str, Any], most: int) -> list[int]:
    """Return the shape of a tensor: a few small numbers, because the others of a request are bounded by it."""
    shape = tensor.get("shape")
    few = shape if isinstance(shape, list) and len(shape) <= MAX_SIDES else []
    if not few or not all(type(side) is int and 0 <= side < 2**31 for side in few):
        raise RequestError(
            f"the shape of {INPUT} must be a list of 1 to {MAX_SIDES} whole numbers, from 0 to 2,147,483,647"
        )
    if not 1 <= few[0] <= most:
        raise RequestError(f"a request has 1 to {most} images. Received: {few[0]}")
    return few


def _values(tensor: dict[str, Any], rest: bytes) -> list[Any] | bytes:
    """Return the values of a tensor: a list from the JSON, or the bytes after it."""
    length = _field(tensor, "parameters", dict).get("binary_data_size")
    if length is None:
        return _field(tensor, "data", list)
    if type(length) is not int or length != len(rest):
        raise RequestError(f"binary_data_size must be the number of bytes that follow the JSON, here {len(rest)}")
    return rest


def _files(values: list[Any] | bytes, shape: list[int]) -> list[bytes]:
    if math.prod(shape) != shape[0]:
        raise RequestError(f"{INPUT} of BYTES must have the shape [n]")
    files = _lengths_and_bytes(values, shape[0]) if isinstance(values, bytes) else values
    if len(files) != shape[0]:
        more = " or more" if len(files) > shape[0] else ""
        raise RequestError(f"{INPUT} has {len(files)}{more} files, but its shape declares {shape[0]}")
    return files if isinstance(values, bytes) else [_decoded(value) for value in values]


def _lengths_and_bytes(values: bytes, most: int) -> list[bytes]:
    """Return the files in the binary form of BYTES, at most one more than declared: there may be millions."""
    files, place = [], 0
    while place < len(values) and len(files) <= most:
        end = place + 4 + int.from_bytes(values[place : place + 4], "little")
        if end > len(values):
            raise RequestError("BYTES are four bytes of length, little-endian, and the content, for each element")
        files.append(values[place + 4 : end])
        place = end
    return files


def _decoded(value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise RequestError("in JSON, image files are strings in base64") from error


def _pixels(values: list[Any] | bytes, shape: list[int]) -> np.ndarray:
    count = math.prod(shape)
    if isinstance(values, list):
        try:
            for _ in shape[1:]:
                if values and isinstance(values[0], list) and len(values) <= count:
                    if len({len(each) for each in values}) > 1:
                        raise ValueError("rows of different lengths")
                    values = list(chain.from_iterable(values))  # TypeError for a number among lists
            if bool in {*map(type, values)}:
                raise TypeError("true is no number")
            values = bytes(values)
        except (TypeError, ValueError) as error:
            raise RequestError(f"the data of {INPUT} must be {count} whole numbers from 0 to 255") from error
    if len(values) != count:
        raise RequestError(f"{INPUT} has {len(values)} values, but its shape declares {count}")
    return np.frombuffer(values, np.uint8).reshape(shape)


def _output(document: dict[str, Any]) -> Output:
    outputs = _field(document, "outputs", list) or [{"name": OUTPUT}]
    if len(outputs) != 1 or not isinstance(outputs[0], dict) or outputs[0].get("name") != OUTPUT:
        raise RequestError(f"outputs may have one entry, {OUTPUT}")
    given = _field(outputs[0], "parameters", dict)
    classes = given.get("classification", 0)
    if type(classes) is not int or classes < 0:
        raise RequestError("classification must be a whole number, at least 0")
    is_binary = given.get("binary_data", _field(document, "parameters", dict).get("binary_data_output", False))
    if type(is_binary) is not bool:
        raise RequestError("binary_data and binary_data_output must be true or false")
    return Output(classes, is_binary)
