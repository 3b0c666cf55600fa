"""Untrusted files of named tensors: names and shapes first, values on request.

Three formats are recognised by their first bytes, not their names: safetensors, PyTorch's (a zip or a bare pickle),
HDF5. None is trusted. Sizes are limited before memory is allocated. Only PyTorch's own restricted reader unpickles, and
only after the functions that the pickle names have been checked. HDF5 is read as data, without links to other files.
Keras's `.keras` archives are refused, because they contain layers to build, not just weights.
"""

import contextlib
import itertools
import json
import math
import pickletools
import shlex
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from resnext.checksums import check_tensors
from resnext.errors import WeightsError, missing_package, one_line, printable

TORCH_SUFFIXES = (".pth", ".pt", ".bin")
FLOATS = ("F64", "F32", "F16", "BF16")  # safetensors' names
MAX_HEADER = 8_000_000  # bytes that describe tensors: ResNeXt-152's take 100,000
MAX_TENSORS = 20_000
MAX_PARTS = 10_000  # groups and datasets of an HDF5 file: qubvel's ResNeXt-101 has 6,000
MAX_OPCODES = 200_000  # of a pickle: ResNeXt-152's has 25,000
PROTOCOL = 2  # of pickles, which PyTorch's restricted reader reads
MAX_GROWTH = 4  # how many times the file's size its tensors may have: trained weights do not compress to a quarter
# All names that a saved state_dict needs. PyTorch's restricted reader allows more; a network's weights need no more.
PICKLED = frozenset(
    {
        "collections OrderedDict",
        "torch._utils _rebuild_tensor_v2",
        "torch._utils _rebuild_parameter",
        "torch.serialization _get_layout",
        *(
            f"torch {kind}Storage"
            for kind in ("Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
        ),
    }
)
# Objects that training scripts store with the weights. Each becomes a Placeholder and is never built.
PLACEHOLDERS = (
    "argparse.Namespace", "types.SimpleNamespace", "easydict.EasyDict", "yacs.config.CfgNode",
    "lightning_fabric.utilities.data.AttributeDict", "pytorch_lightning.utilities.parsing.AttributeDict",
    "lightning.fabric.utilities.data.AttributeDict", "lightning.pytorch.utilities.parsing.AttributeDict",
    "collections.defaultdict", "collections.Counter", "datetime.datetime", "datetime.timedelta",
    "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePosixPath", "pathlib.PureWindowsPath",
    "numpy.dtype", "numpy.ndarray", "_codecs.encode",
    *(f"numpy.{core}.multiarray.{what}" for core in ("core", "_core") for what in ("scalar", "_reconstruct")),
    *(f"{module}.{what}" for module in ("builtins", "__builtin__") for what in ("list", "dict", "set", "int", "float")),
    "torch.device", "torch.Size", "torch.torch_version.TorchVersion",
)  # fmt: skip
# Keys under which training scripts store a state_dict. The first that exists is read; averages come first, as in timm.
KEYS = ("state_dict_ema", "model_ema", "ema_state_dict", "state_dict", "model", "model_state_dict", "net", "network")


@dataclass(frozen=True)
class Tensors:
    """The content of a file. `read` returns the values of one tensor."""

    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]  # in safetensors' words
    read: Callable[[str], np.ndarray]
    metadata: dict[str, str] = field(default_factory=dict)
    key: str | None = None  # of the state_dict, if the file holds several
    other_keys: tuple[str, ...] = ()  # of the other state_dicts


@contextlib.contextmanager
def open_tensors(path: Path, key: str | None = None) -> Iterator[Tensors]:
    """Open the tensors of a file.

    Args:
        path: file, or the index of a safetensors file in parts.
        key: which of several state_dicts in a PyTorch file to read; None for the first of KEYS, or the only one.

    Raises:
        WeightsError: there is no such file, or it is damaged, of another format, or contains more than tensors.
    """
    if path.is_dir():
        raise WeightsError(f"{path}: is a folder. Pass the file in it that has the weights.")
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file.")
    with path.open("rb") as file:
        start = file.read(9)
    kinds = {b"\x89HDF\r\n\x1a\n": _hdf5, b"PK\x03\x04": _torch_zip, b"\x80": _torch_pickle, b"{": _sharded}
    if start.endswith(b"{") and len(start) == 9:  # follows the length of the header, which may begin like a pickle
        kinds = {}
    reader = next((reader for sign, reader in kinds.items() if start.startswith(sign)), _safetensors)
    is_torch = reader in (_torch_zip, _torch_pickle)
    if key is not None and not is_torch:
        raise WeightsError(f"{path}: only PyTorch files have keys, and this is not one. Leave out the key {key!r}.")
    with contextlib.ExitStack() as stack:
        try:
            tensors = stack.enter_context(reader(path, *([key] if is_torch else [])))
            if reader is not _sharded:  # it checks its own parts
                _check_size(tensors, path.stat().st_size)
        except (WeightsError, ImportError):
            raise
        except Exception as error:  # damaged files make readers raise all kinds of errors
            raise WeightsError(f"{path}: {_WHOLE[reader]} ({one_line(error)}).") from error
        yield tensors


def _check_size(tensors: Tensors, file_size: int) -> None:
    if len(tensors.shapes) > MAX_TENSORS:
        raise ValueError(f"{len(tensors.shapes):,} tensors; at most {MAX_TENSORS:,} are read")
    sizes = {"F64": 8, "I64": 8, "F32": 4, "I32": 4}
    claimed = sum(math.prod(shape) * sizes.get(tensors.dtypes[name], 2) for name, shape in tensors.shapes.items())
    if claimed > MAX_GROWTH * file_size + 1_000_000:
        raise ValueError(f"tensors of {claimed:,} bytes in a file of {file_size:,}")


@contextlib.contextmanager
def _safetensors(path: Path) -> Iterator[Tensors]:
    import ml_dtypes  # noqa: F401  # registers bfloat16 with NumPy
    from safetensors import safe_open

    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if file.read(1) not in (b"{", b""):
            raise WeightsError(f"{path}: no file of weights. Allowed: safetensors, PyTorch's .pth, and HDF5.")
        if not 2 <= length <= min(MAX_HEADER, path.stat().st_size - 8):
            raise ValueError(f"its header claims {length:,} bytes, in a file of {path.stat().st_size:,}")
    check_tensors(path)
    with safe_open(path, framework="numpy") as file:
        names = list(file.keys())
        slices = {name: file.get_slice(name) for name in names}
        shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
        dtypes = {name: part.get_dtype() for name, part in slices.items()}
        metadata = file.metadata() or {}

    def read(name: str) -> np.ndarray:
        # Opened again for each tensor: pages read from a mapped file count as memory until it is closed.
        with safe_open(path, framework="numpy") as file:
            return file.get_tensor(name)

    yield Tensors(shapes, dtypes, read, metadata)


@contextlib.contextmanager
def _sharded(path: Path) -> Iterator[Tensors]:
    """Read the parts that an index names: Hugging Face's format for large models."""
    if path.stat().st_size > MAX_HEADER:
        raise ValueError(f"an index of {path.stat().st_size:,} bytes; at most {MAX_HEADER:,} are read")
    parts = json.loads(path.read_bytes())
    if not isinstance(parts, dict) or "weight_map" not in parts:
        raise WeightsError(f"{path}: neither a weights file nor the index of one in parts.")
    parts = parts["weight_map"]
    names = sorted({*parts.values()})
    if any(Path(name).name != name or not name.endswith(".safetensors") for name in names):
        raise ValueError("its parts must be .safetensors files in the same folder")
    with contextlib.ExitStack() as stack:
        opened = {name: stack.enter_context(open_tensors(path.with_name(name))) for name in names}
        found = {tensor: name for name, part in opened.items() for tensor in part.shapes}
        if found != parts:
            at_odds = sorted(tensor for tensor in {*found, *parts} if found.get(tensor) != parts.get(tensor))
            raise ValueError(f"{at_odds[0]} is not in the file that the index names")
        yield Tensors(
            {tensor: opened[name].shapes[tensor] for tensor, name in parts.items()},
            {tensor: opened[name].dtypes[tensor] for tensor, name in parts.items()},
            lambda tensor: opened[parts[tensor]].read(tensor),
        )


@contextlib.contextmanager
def _torch_zip(path: Path, key: str | None) -> Iterator[Tensors]:
    with path.open("rb") as file:
        _check_directory(file)
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        pickles = [entry for entry in entries if entry.filename.lower().endswith("data.pkl")]
        if any(entry.filename == "config.json" for entry in entries):
            raise WeightsError(
                f"{path}: a .keras archive, which defines layers to build; only weights are loaded. "
                "Load it with keras.saving.load_model(..., safe_mode=True) if you trust it, then resnext.save_weights."
            )
        if any("/code/" in entry.filename or entry.filename.endswith("/constants.pkl") for entry in entries):
            raise WeightsError(
                f"{path}: a TorchScript program, which contains code. Save its weights alone: "
                "torch.save(torch.jit.load(FILE).state_dict(), OTHER)."
            )
        if len(pickles) != 1:
            raise ValueError("a zip without PyTorch's data.pkl, or with several")
        if len({entry.filename.split("/")[0] for entry in entries}) > 1 or len({*archive.namelist()}) < len(entries):
            raise ValueError("a zip with several folders, or with duplicate names")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("compressed entries, which PyTorch does not write")
        if pickles[0].file_size > MAX_HEADER:
            raise ValueError(f"{pickles[0].file_size:,} bytes of names")
        with archive.open(pickles[0]) as file:
            _check_pickles(path, file, 1)
    yield _torch_tensors(path, key, mmap=True)


@contextlib.contextmanager
def _torch_pickle(path: Path, key: str | None) -> Iterator[Tensors]:
    """Read PyTorch's format before 1.6: five pickles, then the values. The WSL, SSL and SWSL files use it."""
    with path.open("rb") as file:
        _check_pickles(path, file, 5)
    yield _torch_tensors(path, key, mmap=False)


def _check_directory(file: IO[bytes]) -> None:
    """Refuse a zip whose directory is long or not at the end of the file: readers would disagree on its content."""
    end = file.seek(0, 2) - 22
    file.seek(max(end, 0))
    signature, *_, entries, size, start, comment = struct.unpack("<4s4H2LH", file.read(22).ljust(22, b"\0"))
    if signature != b"PK\x05\x06" or comment:
        raise ValueError("a zip without an end, or with a comment")
    file.seek(max(end - 20, 0))
    locator, _, place, _ = struct.unpack("<4sLQL", file.read(20).ljust(20, b"\0"))
    if locator == b"PK\x06\x07":  # the numbers are repeated before it in 64 bits: torch.save writes both
        end = min(place, 2**62)
        file.seek(end)
        entries, size, start = struct.unpack("<3Q", file.read(56).ljust(56, b"\0")[32:])
    if entries > MAX_TENSORS or start + size != end:
        raise ValueError(f"a zip with {entries:,} entries, or with data before them")


def _check_pickles(path: Path, file: IO[bytes], count: int) -> None:
    """Refuse pickles that name a function that weights do not need. The pickles are read, not executed."""
    opcodes = itertools.chain.from_iterable(pickletools.genops(file) for _ in range(count))
    for number, (opcode, argument, _) in enumerate(opcodes):
        if number > MAX_OPCODES:
            raise ValueError(f"a pickle of more than {MAX_OPCODES:,} instructions")
        if opcode.name == "PROTO" and isinstance(argument, int) and argument > PROTOCOL:
            raise WeightsError(
                f"{path}: a pickle of protocol {argument}, and torch.save writes {PROTOCOL} by default. Save it again "
                "without pickle_protocol, or as safetensors."
            )
        if opcode.name in ("STACK_GLOBAL", "INST", "OBJ", "EXT1", "EXT2", "EXT4"):
            raise WeightsError(f"{path}: a pickle with {opcode.name}, which torch.save does not write. {_SAVE_WEIGHTS}")
        function = str(argument).replace(" ", ".")
        if opcode.name == "GLOBAL" and argument not in PICKLED and function not in PLACEHOLDERS:
            raise WeightsError(f"{path}: a pickle that names {function}, which weights do not need. {_SAVE_WEIGHTS}")


_SAVE_WEIGHTS = "Save the weights alone: torch.save(model.state_dict(), ...), or as safetensors."


class Placeholder:
    """Replaces an object stored with the weights; nothing that the file does with it has an effect."""

    def __init__(self, *arguments):
        pass

    def __setstate__(self, state):
        pass

    def __setitem__(self, key, value):
        pass


def _torch_tensors(path: Path, key: str | None, mmap: bool) -> Tensors:
    try:
        import torch
    except ImportError as error:
        raise missing_package(f"reading {path}", "torch", "torch") from error
    with torch.serialization.safe_globals([(Placeholder, name) for name in PLACEHOLDERS]):
        saved = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    found = _state_dicts(saved, torch.Tensor)
    chosen = _chosen(path, list(found), key)
    content = found[chosen]
    kinds = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
    kinds |= {torch.int64: "I64", torch.int32: "I32"}
    dtypes = {name: kinds.get(tensor.dtype, str(tensor.dtype)) for name, tensor in content.items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in content.items()}

    def read(name: str) -> np.ndarray:
        tensor = content[name].detach().resolve_neg()
        if tensor.dtype == torch.bfloat16:
            import ml_dtypes

            return tensor.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
        return tensor.numpy()

    return Tensors(shapes, dtypes, read, {}, chosen or None, tuple(name for name in found if name != chosen))


def _state_dicts(saved: Any, kind: type, key: str = "", depth: int = 0) -> dict[str, dict]:
    """Return every dictionary of names and tensors in a saved object by key; "" if the object itself is one."""
    if not isinstance(saved, dict) or depth > 3 or not all(isinstance(name, str) for name in saved):
        return {}
    if saved and all(isinstance(value, kind) for value in saved.values()):
        return {key: saved}
    found = {}
    for name, value in saved.items():
        found |= _state_dicts(value, kind, f"{key}.{name}" if key else name, depth + 1)
    return found


def _chosen(path: Path, keys: list[str], key: str | None) -> str:
    """Return the key of the state_dict to read. Raises WeightsError if that is ambiguous."""
    allowed = ", ".join(printable(name, 100) for name in keys[:20]) or "none"
    if not keys:
        raise WeightsError(f"{path}: holds no names with tensors. {_SAVE_WEIGHTS}")
    if key is not None and key not in keys:
        raise WeightsError(f"{path}: holds no weights under the key {key!r}. Its keys: {allowed}.")
    known = [name for last in KEYS for name in keys if name.split(".")[-1] == last]
    if key is None and len(keys) > 1 and not known:
        raise WeightsError(f"{path}: holds several sets of tensors. Choose one of its keys ({allowed}): "
                           f"resnext convert {shlex.quote(str(path))} --key KEY --out FILE")  # fmt: skip
    return key if key is not None else (known or keys)[0]


@contextlib.contextmanager
def _hdf5(path: Path) -> Iterator[Tensors]:
    import h5py

    with h5py.File(path, "r") as file:
        if isinstance(file.get("layers"), h5py.Group):
            raise WeightsError(
                f"{path}: written by Keras's own save_weights, whose names depend on the model. Build the network, "
                "then call network.load_weights(path)."
            )
        datasets: dict[str, Any] = {}
        _collect(file, "", datasets, set())
        names = {_short(name): name for name in datasets}
        if len(names) < len(datasets):
            raise ValueError("several tensors have the same name")
        shapes = {short: tuple(datasets[name].shape) for short, name in names.items()}
        kinds = {"f8": "F64", "f4": "F32", "f2": "F16", "i8": "I64", "i4": "I32"}
        dtypes = {
            short: kinds.get(datasets[name].dtype.str[1:], str(datasets[name].dtype)) for short, name in names.items()
        }
        tensors = Tensors(shapes, dtypes, lambda short: datasets[names[short]][()])
        _check_size(tensors, path.stat().st_size)
        values = {short: tensors.read(short) for short in shapes}  # read now, so that damage is found before use
    yield Tensors(shapes, dtypes, values.__getitem__)


def _collect(group: Any, prefix: str, datasets: dict[str, Any], seen: set) -> None:
    """Collect all datasets below a group that are in this file and need no more memory than they declare."""
    import h5py

    for name in group:
        where = f"{prefix}{name}"
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{where} is a link, possibly to another file")
        item = group[name]
        place = h5py.h5o.get_info(item.id).addr
        if place in seen or len(seen) >= MAX_PARTS:
            raise ValueError(f"{where}: a duplicate object, or too many objects")
        seen.add(place)
        if isinstance(item, h5py.Group):
            _collect(item, f"{where}/", datasets, seen)
        elif isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise ValueError(f"{where} is stored in another file")
            if item.chunks and math.prod(item.chunks) > max(1, math.prod(item.shape or ())):
                raise ValueError(f"{where}: a chunk larger than the tensor")
            if not where.startswith("optimizer_weights/"):
                datasets[where] = item


def _short(name: str) -> str:
    """Shorten `model_weights/conv1_conv/conv1_conv/kernel:0` to `conv1_conv/kernel`."""
    return "/".join(name.removesuffix(":0").split("/")[-2:])


_WHOLE: dict[Callable, str] = {
    _safetensors: "incomplete or damaged safetensors file",
    _sharded: "incomplete or damaged index of a safetensors file in parts",
    _torch_zip: "incomplete or damaged PyTorch file",
    _torch_pickle: "incomplete or damaged PyTorch file",
    _hdf5: "incomplete or damaged HDF5 file of weights",
}
