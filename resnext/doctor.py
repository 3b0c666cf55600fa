"""What this machine has, as far as it matters here, and what is wrong with it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import sys
from pathlib import Path
from typing import Any

from resnext.backend import (
    BACKENDS,
    NVIDIA_DRIVER,
    describe_devices,
    has_accelerator,
    import_keras,
    installed_backend,
    memory_bytes,
    usable_cores,
    version_of,
)
from resnext.errors import one_line

CPUINFO = Path("/proc/cpuinfo")  # if Linux has one
FEATURES = (
    "avx",
    "avx2",
    "fma",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_bf16",
    "amx_int8",
    "asimd",
)
SUFFIXES = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "WebP": ".webp",
    "TIFF": ".tif",
    "AVIF": ".avif",
    "HEIC": ".heic",
    "DICOM": ".dcm",
}
PACKAGES = ("keras", "numpy", "pillow", "grain", "safetensors", "tyro", "rich", "tensorflow", "jax", "torch")
BACKEND_EXTRAS = {"tensorflow": "cpu", "jax": "jax", "torch": "torch"}


def examine() -> dict[str, Any]:
    """Return the findings, ready for JSON; `problems` are those that should be mended.

    It imports the backend, and computes nothing.

    >>> [*examine()][:3]
    ['resnext', 'python', 'system']
    """
    problems: list[dict[str, str]] = []
    backend = _backend(problems)
    _check_configuration(problems)
    return {
        "resnext": version_of("resnext"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "processor": {"name": _processor(), "cores": usable_cores(), "features": _features()},
        "memory_gb": None if memory_bytes() is None else round((memory_bytes() or 0) / 1e9, 1),
        "backend": backend,
        "packages": {name: version_of(name) for name in PACKAGES},
        "extras": _extras(),
        "image_formats": _formats(),
        "routes": _routes(backend["name"]) if backend["error"] is None else {},
        "problems": problems,
    }


def _backend(problems: list[dict[str, str]]) -> dict[str, Any]:
    """Return the backend, why it is used, and its devices."""
    given = os.environ.get("KERAS_BACKEND")
    name = given or installed_backend()
    how = "KERAS_BACKEND" if given else "keras.json, or what is installed"
    found: dict[str, Any] = {"name": name, "chosen_by": how, "version": None, "devices": [], "error": None}
    if name not in BACKENDS or importlib.util.find_spec(name) is None:
        found["error"] = "unknown" if name not in BACKENDS else "not installed"
        others = [each for each in BACKENDS if importlib.util.find_spec(each)]
        mend = f"pip install 'resnext[{BACKEND_EXTRAS.get(name, 'cpu')}]'"
        mend += f", or set KERAS_BACKEND={others[0]}" if others else ""
        problems.append({"what": f"the backend {name} is {found['error']}", "how_to_mend": mend})
        return found
    os.environ["KERAS_BACKEND"] = name
    found["version"] = version_of(name)
    try:
        import_keras()
        found["devices"] = describe_devices()
        if not has_accelerator() and NVIDIA_DRIVER.exists():
            problems.append(
                {
                    "what": f"this machine has an NVIDIA GPU, which {name} does not use",
                    "how_to_mend": f"install {name} with its CUDA libraries (docs/performance.md)",
                }
            )
    except Exception as error:  # whatever a damaged installation raises
        found["error"] = one_line(error)
        problems.append({"what": f"{name} can't be imported: {one_line(error)}", "how_to_mend": "install it again"})
    return found


def _check_configuration(problems: list[dict[str, str]]) -> None:
    """Report a keras.json that is damaged, or names a backend that Keras does not have."""
    file = Path(os.environ.get("KERAS_HOME") or Path("~/.keras").expanduser()) / "keras.json"
    mend = f"remove {file}, or write it anew"
    try:
        document = json.loads(file.read_bytes())
    except FileNotFoundError:
        return
    except (OSError, ValueError, RecursionError) as error:
        problems.append({"what": f"{file} can't be read: {one_line(error)}", "how_to_mend": mend})
        return
    named = document.get("backend") if isinstance(document, dict) else None
    if named not in (*BACKENDS, None):
        problems.append({"what": f"{file} names the backend {named!r}", "how_to_mend": mend})


def _extras() -> dict[str, bool]:
    """Return for each extra of resnext whether all of its packages are installed."""
    found: dict[str, bool] = {}
    for line in importlib.metadata.requires("resnext") or ():
        requirement, _, marker = line.partition(";")
        if extra := re.search(r"extra == ['\"]([\w-]+)['\"]", marker):
            name = re.split(r"[\s<>=!~\[]", requirement.strip(), maxsplit=1)[0]
            found[extra[1]] = found.get(extra[1], True) and version_of(name) is not None
    return dict(sorted(found.items()))


def _formats() -> dict[str, bool]:
    from PIL import features

    from resnext.images.decode import IMAGE_SUFFIXES

    known = {name: suffix in IMAGE_SUFFIXES for name, suffix in SUFFIXES.items()}
    return known | {"WebP": bool(features.check("webp")), "AVIF": bool(features.check("avif"))}


def _routes(backend: str) -> dict[str, str]:
    """Return how convolutions are computed in float32 here."""
    from resnext.layers.convolution import fastest_route, tensorflow_trains

    accelerator = has_accelerator()
    trains = backend != "tensorflow" or tensorflow_trains("float32", False, True)
    return {
        "grouped convolution": fastest_route(backend, accelerator, trains, 32, False),
        "1x1 convolution": fastest_route(backend, accelerator, trains, 1, True),
    }


def _cpuinfo(name: str) -> str:
    try:
        found = re.search(rf"^{name}\s*:\s*(.*)$", CPUINFO.read_text(errors="replace"), re.MULTILINE)
    except OSError:
        return ""
    return found[1] if found else ""


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine() or sys.platform


def _features() -> list[str]:
    flags = {*_cpuinfo("flags").split(), *_cpuinfo("Features").split()}
    return [name for name in FEATURES if name in flags]
