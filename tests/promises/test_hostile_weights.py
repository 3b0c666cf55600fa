"""Weights files from people who mean harm: refused in one clear line, quickly, with nothing run and nothing opened."""

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest
from safetensors.numpy import save, save_file

from resnext.errors import WeightsError
from resnext.weights.readers import MAX_HEADER
from support.command import refusal, resnext
from support.weights import network, torch_weights

pytestmark = pytest.mark.once


class Command:
    """What runs when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch /tmp/resnext-was-here",)


def safetensors_file(tensors: dict, data: bytes = b"") -> bytes:
    header = json.dumps(tensors).encode()
    return struct.pack("<Q", len(header)) + header + data


def torch_zip(data: bytes, compressed=False, second="") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", data)
        if second:
            archive.writestr(second, data)
    return stream.getvalue()


def keras_archive() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Lambda", "config": {"function": "..."}}))
    return stream.getvalue()


def hdf5(write) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        write(file)
    return stream.getvalue()


def outside(file):
    file["conv1_bn/gamma"] = h5py.ExternalLink("/etc/passwd", "/x")


def soft(file):
    file["conv1_bn/gamma"] = h5py.SoftLink("/elsewhere")


def external_storage(file):
    file.create_dataset("conv1_bn/gamma", (64,), "f4", external=[("/etc/passwd", 0, 256)])


def virtual(file):
    layout = h5py.VirtualLayout((64,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (64,))
    file.create_virtual_dataset("conv1_bn/gamma", layout)


def bomb(file):
    file.create_dataset("conv1_bn/gamma", (10**9, 10**9), "f4")  # never written, so it takes no space


def chunk(file):
    file.create_dataset("conv1_bn/gamma", (4,), "f4", maxshape=(None,), chunks=(2**28,), compression="gzip")


def cycle(file):
    group = file.create_group("a")
    group["b"] = group


def many_links(file):
    group = file.create_group("g0")
    for i in range(100):
        group[f"again{i}"] = file["g0"]


def parts(file):
    for i in range(10_001):
        file.create_group(f"g{i}")


WHOLE_ST, WHOLE_TORCH, WHOLE_H5 = (
    f"incomplete or damaged {kind}" for kind in ("safetensors file", "PyTorch file", "HDF5 file")
)
F32 = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
NO_WEIGHTS = r"no file of weights. Allowed: safetensors, PyTorch's .pth, and HDF5.$"
HOSTILE = {
    "empty": (b"", WHOLE_ST),
    "text": (b"hello, these are weights", NO_WEIGHTS),
    "header of 2^63": (struct.pack("<Q", 2**63) + b"{}", WHOLE_ST),
    "header of 2^40": (struct.pack("<Q", 2**40) + b"{}", WHOLE_ST),
    "header longer than allowed": (struct.pack("<Q", MAX_HEADER + 1) + b"{" * (MAX_HEADER + 1), WHOLE_ST),
    "header of brackets": (struct.pack("<Q", 1_000_000) + b"{" + b"[" * 999_999, WHOLE_ST),
    "10^9 channels": (safetensors_file({"x": {**F32, "shape": [10**9, 10**9]}}, bytes(4)), WHOLE_ST),
    "overlapping": (safetensors_file({"x": F32, "y": F32}, bytes(8)), WHOLE_ST),
    "hole": (safetensors_file({"x": {**F32, "data_offsets": [4, 8]}}, bytes(8)), WHOLE_ST),
    "beyond the end": (safetensors_file({"x": {**F32, "data_offsets": [0, 4000]}}, bytes(4)), WHOLE_ST),
    "negative shape": (safetensors_file({"x": {**F32, "shape": [-1]}}, bytes(4)), WHOLE_ST),
    "unknown kind": (safetensors_file({"x": {**F32, "dtype": "Q9"}}, bytes(4)), WHOLE_ST),
    "names that climb": (save({"../../etc/passwd": np.zeros(1)}), "no ResNeXt or ResNet that resnext knows"),
    "pickle with code": (
        pickle.dumps(Command(), protocol=2),
        r"a pickle that names (posix|nt|os).system, which weights do not need",
    ),
    "newer pickle": (
        pickle.dumps(Command(), protocol=4),
        "a pickle of protocol 4, and torch.save writes 2 by default",
    ),
    "old pickle": (pickle.dumps(Command(), protocol=0), NO_WEIGHTS),
    "pickle that goes on": (b"\x80\x02}" + b"q\x00" * 10_000, WHOLE_TORCH),
    "zip with code": (torch_zip(pickle.dumps(Command(), protocol=2)), r"a pickle that names \w+.system"),
    "compressed zip": (torch_zip(b"\x80\x02}.", compressed=True), "compressed entries"),
    "long pickle": (torch_zip(b"\x80\x02" + b"N0" * (MAX_HEADER // 2)), f"{WHOLE_TORCH}.*bytes of names"),
    "zip without weights": (torch_zip(b"").replace(b"data.pkl", b"data.txt"), "a zip without PyTorch's data.pkl"),
    "half a zip": (torch_zip(b"\x80\x02}.")[:60], WHOLE_TORCH),
    "keras archive": (keras_archive(), "a .keras archive, which defines layers to build; only weights are loaded"),
    "half an HDF5": (hdf5(bomb)[:700], WHOLE_H5),
    "external link": (hdf5(outside), "conv1_bn/gamma is a link, possibly to another file"),
    "soft link": (hdf5(soft), "conv1_bn/gamma is a link, possibly to another file"),
    "external storage": (hdf5(external_storage), "conv1_bn/gamma is stored in another file"),
    "virtual": (hdf5(virtual), "conv1_bn/gamma is stored in another file"),
    "10^18 values": (hdf5(bomb), "tensors of 4,000,000,000,000,000,000 bytes in a file of"),
    "never written": (
        hdf5(lambda file: file.create_dataset("bn0/gamma", (10**7,), "f4")),
        "tensors of 40,000,000 bytes",
    ),
    "many parts": (hdf5(parts), "a duplicate object, or too many objects"),
    "many instructions": (torch_zip(b"\x80\x02" + b"N0" * 200_000), "a pickle of more than 200,000 instructions"),
    "two pickles": (torch_zip(b"\x80\x02}.", second="archive/DATA.PKL"), "data.pkl, or with several"),
    "two folders": (torch_zip(b"\x80\x02}.", second="other/x"), "a zip with several folders"),
    "zip after something": (b"PK\x03\x04" + torch_zip(b"\x80\x02}."), "with data before them"),
    "zip and something": (torch_zip(b"\x80\x02}.") + b"x", "a zip without an end, or with a comment"),
    "terminal codes": (save({"\x1b[2J\n- x" + "y" * 1000: np.zeros(1)}), r"tensors \('\\x1b\[2J\\n- xy+\.\.\., \.\.\."),
    "chunk of 2^28": (hdf5(chunk), "a chunk larger than the tensor"),
    "cycle": (hdf5(cycle), "a duplicate object"),
    "a hundred cycles": (hdf5(many_links), "a duplicate object"),
    "text in HDF5": (hdf5(lambda file: file.create_dataset("bn0/gamma", data="x")), r"\+ bn0/gamma \(\)"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(tmp_path, name):
    content, words = HOSTILE[name]
    path = tmp_path / "weights"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=words) as error:
        network(path)
    assert str(error.value).startswith(f"{path}: ")
    assert not os.path.exists("/tmp/resnext-was-here")
    assert [entry.name for entry in tmp_path.iterdir()] == ["weights"]


WATCH = """
import resource, sys, time
from pathlib import Path
import safetensors, h5py, zipfile, pickletools  # what reading needs is loaded before the clock starts
from resnext.weights.convert import convert
opened = []
FORBIDDEN = ("os.system", "subprocess.Popen", "os.exec", "os.spawn", "socket.connect", "socket.getaddrinfo")
def watch(event, arguments):
    if event in FORBIDDEN or (event == "open" and str(arguments[0]).startswith(("/etc", "/proc"))):
        opened.append((event, arguments))
sys.addaudithook(watch)
refused = 0
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sorted(Path(sys.argv[1]).iterdir()):
    started = time.perf_counter()
    try:
        convert(path, sys.argv[2])
        print(path.name, "was taken")
    except ValueError:
        refused += 1
    if time.perf_counter() - started > 1:
        print(path.name, "took", time.perf_counter() - started)
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
if grown > 200 or opened or "torch" in sys.modules:
    print("grown by", grown, "MB; opened", opened, "torch" in sys.modules)
print(refused, "refused")
"""


def test_refusing_is_quick_small_and_touches_nothing(tmp_path):
    (tmp_path / "hostile").mkdir()
    for name, (content, _) in HOSTILE.items():
        (tmp_path / "hostile" / name.replace(" ", "-")).write_bytes(content)
    process = subprocess.run(
        [sys.executable, "-c", WATCH, tmp_path / "hostile", tmp_path / "out"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (process.stdout, process.returncode) == (f"{len(HOSTILE)} refused\n", 0), process.stderr[-1000:]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("shape", [[10**9, 3, 7, 7], [2**62, 2**62], [0, 0, 0, 0], []])
def test_right_names_with_absurd_shapes_are_listed(tmp_path, shape):
    tensors = {name: np.zeros(0, np.float32) for name in torch_weights()}
    header = {name: {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for name in tensors}
    header["conv1.weight"]["shape"] = [*shape, 0]
    header["fc.bias"] = {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}
    path = tmp_path / "weights.safetensors"
    path.write_bytes(safetensors_file(header, bytes(4)))
    with pytest.raises(WeightsError, match=r"\+ conv1.weight|incomplete or damaged safetensors file"):
        network(path)


def test_wrong_kinds_and_numbers_of_tensors_are_refused(tmp_path):
    tensors = torch_weights()
    tensors["evil/num_batches_tracked"] = tensors["layer1.00.conv1.weight"] = np.zeros(3, np.float32)
    save_file(tensors, tmp_path / "more.safetensors")
    with pytest.raises(
        WeightsError, match=r"(?s)\+ evil/num_batches_tracked \(3,\)\n\+ layer1.00.conv1.weight \(3,\)\nAll of"
    ):
        network(tmp_path / "more.safetensors")
    del tensors["evil/num_batches_tracked"], tensors["layer1.00.conv1.weight"]
    tensors["bn1.weight"] = tensors["bn1.weight"].astype(np.int8)
    save_file(tensors, tmp_path / "kinds.safetensors")
    with pytest.raises(WeightsError, match=r"weights must be F64, F32, F16, BF16; these are not: bn1.weight I8$"):
        network(tmp_path / "kinds.safetensors")
    save_file({f"x{i}": np.zeros(1, np.int8) for i in range(20_001)}, tmp_path / "many.safetensors")
    with pytest.raises(WeightsError, match="20,001 tensors; at most 20,000 are read"):
        network(tmp_path / "many.safetensors")


def test_a_refused_file_changes_no_network(tmp_path):
    from resnext import load_weights
    from resnext.weights.variables import get_weights

    model = network()
    before = get_weights(model)
    tensors = torch_weights()
    del tensors["fc.bias"]
    save_file(tensors, tmp_path / "short.safetensors")
    with pytest.raises(WeightsError, match=r"- fc.bias \(10,\)"):
        load_weights(model, tmp_path / "short.safetensors")
    for name, value in get_weights(model).items():
        np.testing.assert_array_equal(value, before[name])


def torch_files(torch):
    """Files that PyTorch has to open before they can be refused."""
    zeros = torch.zeros(1)
    return {
        "stride 0": ({"bn1.weight": zeros.expand(10**9)}, "tensors of 4,000,000,000 bytes in a file of"),
        "one storage for all": ({f"bn1.{i}": torch.zeros(10**6) for i in range(2)} | _shared(torch), "tensors of"),
        "keys that are no names": ({1: zeros, "bn1.weight": zeros}, "holds no names with tensors"),
        "a list": ([zeros], "holds no names with tensors"),
        "numbers": ({"bn1.weight": 3}, "holds no names with tensors"),
    }


def _shared(torch):
    storage = torch.zeros(10**5)
    return {f"layer1.{i}": storage for i in range(1000)}


@pytest.mark.once(on="torch")
@pytest.mark.parametrize("old", [True, False])
def test_pytorch_files_without_code_are_checked_too(tmp_path, old):
    torch = pytest.importorskip("torch", reason="PyTorch's own files need PyTorch")
    for name, (content, words) in torch_files(torch).items():
        path = tmp_path / "weights.pth"
        torch.save(content, path, _use_new_zipfile_serialization=not old)
        with pytest.raises(WeightsError, match=words):
            network(path)
        assert name
    whole = {name: torch.from_numpy(value) for name, value in torch_weights().items()}
    torch.save(whole, path, _use_new_zipfile_serialization=not old)
    content = path.read_bytes()
    for keep in (100, len(content) // 2, len(content) - 10):
        path.write_bytes(content[:keep])
        with pytest.raises(WeightsError, match="incomplete or damaged PyTorch file"):
            network(path)


def test_a_damaged_part_of_an_hdf5_file_is_found_before_anything_is_loaded(tmp_path):
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("bn0/gamma", data=np.arange(64, dtype="f4"), chunks=(64,), compression="gzip")
        offset = file["bn0/gamma"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[offset : offset + 8] = b"\xff" * 8
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="incomplete or damaged HDF5 file of weights"):
        network(path)


def test_the_command_refuses_in_one_line(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps(Command(), protocol=2))
    out = tmp_path / "out.safetensors"
    assert refusal(resnext("convert", path, "--out", out)).startswith(f"{path}: a pickle that names ")
    assert not out.exists()
