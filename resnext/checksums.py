"""Checksums inside the files of resnext, by which a changed bit is found before it counts.

A document in JSON keeps its own under "sha256", computed from the rest. Files of earlier versions have none.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

SHA256 = "sha256"
CRC32 = "crc32"
METADATA = "__metadata__"  # of a safetensors file
CHUNK = 2**20  # bytes read at once
CHANGED = "it is damaged, or was changed by another program"


def digest_of(document: Any) -> str:
    """Return the SHA-256 of a document, which does not depend on spaces or the order of keys.

    >>> digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(_text_of(document)).hexdigest()


def with_sha256(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with its checksum."""
    return {**document, SHA256: digest_of(document)}


def without_sha256(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document without its checksum. Raises ValueError if that belongs to another document."""
    return _without(document, SHA256, digest_of)


def with_crc32(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a table with a short checksum."""
    return {**row, CRC32: _crc32_of(row)}


def without_crc32(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row without its checksum. Raises ValueError if that belongs to another row."""
    return _without(row, CRC32, _crc32_of)


def with_tensors_sha256(header: Mapping[str, Any], tensors: bytes) -> dict[str, Any]:
    """Return the header of a safetensors file with the checksum of itself and of the tensors, in its metadata."""
    digest = hashlib.sha256(_text_of(header))
    digest.update(tensors)
    return {**header, METADATA: {**header[METADATA], SHA256: digest.hexdigest()}}


def sha256_in(tensors: bytes) -> str:
    """Return the checksum inside the content of a safetensors file of resnext."""
    return _header(io.BytesIO(tensors), len(tensors))[METADATA][SHA256]


def sha256_of_tensors(path: Path) -> str | None:
    """Return the checksum inside a safetensors file, unchecked; None in older files. Raises ValueError."""
    with path.open("rb") as file:
        return _header(file, path.stat().st_size).get(METADATA, {}).get(SHA256)


def check_tensors(path: Path) -> None:
    """Raise ValueError if a safetensors file has a checksum that belongs to another content."""
    status = path.stat()
    _check_tensors(path, status.st_size, status.st_mtime_ns, status.st_ino)


@functools.lru_cache(maxsize=16)
def _check_tensors(path: Path, size: int, time: int, inode: int) -> None:
    with path.open("rb") as file:
        header = _header(file, size)
        metadata = header.get(METADATA, {})
        if SHA256 not in metadata:
            return
        rest = {name: value for name, value in metadata.items() if name != SHA256}
        digest = hashlib.sha256(_text_of({**header, METADATA: rest}))
        while part := file.read(CHUNK):
            digest.update(part)
    if digest.hexdigest() != metadata[SHA256]:
        raise ValueError(CHANGED)


def _header(file: BinaryIO, size: int) -> dict[str, Any]:
    """Return the header of a safetensors file of a size. Raises ValueError if it would be longer than the file."""
    length = int.from_bytes(file.read(8), "little")
    if length > size:
        raise ValueError(CHANGED)
    return json.loads(file.read(length))


def _without(document: Mapping[str, Any], key: str, checksum_of: Callable[[Any], str]) -> dict[str, Any]:
    rest = {name: value for name, value in document.items() if name != key}
    if key in document and document[key] != checksum_of(rest):
        raise ValueError(CHANGED)
    return rest


def _crc32_of(document: Any) -> str:
    return f"{zlib.crc32(_text_of(document)):08x}"


def _text_of(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
