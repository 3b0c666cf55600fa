"""Flipped bits: in every file that a command reads, they are found, or change nothing."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from resnext import Model, Run
from resnext.checksums import with_crc32, with_sha256, without_crc32, without_sha256
from resnext.errors import ResNeXtError
from support.exports import NAMES
from support.runs import config_of, copy_of, records_of

pytestmark = pytest.mark.once

FLIPS = 60


def flipped(content: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(content)
    changed[rng.integers(len(changed))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def facts_of_run(folder: Path):
    run = Run.open(folder)
    return run.config, run.held_out, run.history, run.images, run.weights("best").name


def weights_of(folder: Path):
    from resnext.weights.weights_file import open_weights

    with open_weights(str(folder / "best.safetensors"), None) as file:
        values = {name: file.value(place).tobytes() for name, place in file.found.items()}
        return values, file.class_names(), file.preprocessing(), file.known_variant()


@pytest.mark.parametrize(
    ("name", "read"),
    [("config.json", facts_of_run), ("held-out.json", facts_of_run), ("metrics.jsonl", facts_of_run),
     ("images.json", facts_of_run), ("best.safetensors", weights_of)],
)  # fmt: skip
def test_no_flipped_bit_in_a_run_counts(trained, tmp_path, name, read):
    folder = copy_of(trained[0], tmp_path / "run")
    check_flips(folder / name, lambda: read(folder))


@pytest.mark.parametrize(
    ("format", "files"),
    [("onnx", ["a.onnx"]), ("openvino", ["a.xml", "a.bin"]), ("litert", ["a.tflite"]),
     ("bundle", ["bundle/config.json", "bundle/model.safetensors"])],
)  # fmt: skip
def test_no_flipped_bit_in_an_exported_file_counts(exported_as, tmp_path, format, files):
    folder = shutil.copytree(exported_as(format).parent, tmp_path / "copy")

    def opened():
        model = Model.open(folder / NAMES[format])
        answer = model.file.outputs(np.zeros((1, 32, 32, 3), np.uint8)).logits.tobytes() if model.file else b""
        return model.classes, model.preprocessing, model.variant, answer

    for file in files:
        check_flips(folder / file, opened, FLIPS // 2)


def check_flips(file: Path, read: Callable, flips: int = FLIPS) -> None:
    """Flip single bits of a file: what is read afterwards is the same, or the file is refused by its name."""
    content, expected, rng = file.read_bytes(), read(), np.random.default_rng(0)
    for _ in range(flips):
        file.write_bytes(flipped(content, rng))
        try:
            given = read()
        except ResNeXtError as error:
            given = str(error)
        assert given == expected or (isinstance(given, str) and file.stem in given), given
    file.write_bytes(content)


def test_files_of_earlier_versions_have_no_checksums(trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / "run")
    expected = facts_of_run(tmp_path / "run")
    (tmp_path / "run" / "config.json").write_text(json.dumps(config_of(tmp_path / "run")))
    rows = "".join(json.dumps(row) + "\n" for row in records_of(tmp_path / "run"))
    (tmp_path / "run" / "metrics.jsonl").write_text(rows)
    assert facts_of_run(tmp_path / "run") == expected


def test_a_checksum_belongs_to_one_document():
    document = {"a": 1.5, "b": ["ü", "\udcff"]}
    assert without_sha256(with_sha256(document)) == document
    assert without_crc32(with_crc32(document)) == document
    for change in (with_sha256, with_crc32):
        with pytest.raises(ValueError, match="it is damaged, or was changed by another program"):
            (without_sha256 if change is with_sha256 else without_crc32)({**change(document), "a": 1.25})
