"""Examine this machine: doctor."""

from __future__ import annotations

from typing import Any

from resnext.cli.output import Format, printed
from resnext.cli.tables import print_line
from resnext.errors import RunError, counted


def doctor(format: Format = "table") -> None:
    """Show what this machine has and what is wrong: system, processor, backend, devices, packages, image formats.

    Args:
        format: form of what is printed: table, json or csv.
    """
    from resnext.doctor import examine

    found = examine()
    if not printed(format, found):
        _print(found)
    if problems := found["problems"]:
        raise RunError(f"{counted(len(problems), 'problem')}, named above with how to mend it")


def _print(found: dict[str, Any]) -> None:
    processor, backend = found["processor"], found["backend"]
    extras, formats = ([f"{name}: {'yes' if has else 'no'}" for name, has in found[key].items()]
                       for key in ("extras", "image_formats"))  # fmt: skip
    memory = "" if found["memory_gb"] is None else f", {found['memory_gb']} GB"
    lines = {
        "resnext": found["resnext"],
        "system": f"{found['system']}, Python {found['python']}",
        "processor": f"{processor['name']}, {processor['cores']} cores{memory}",
        "features": " ".join(processor["features"]) or "-",
        "backend": f"{backend['name']} {backend['version'] or ''}, by {backend['chosen_by']}",
        "devices": "; ".join(backend["devices"]) or "-",
        "convolutions": ", ".join(f"{name} {route}" for name, route in found["routes"].items()) or "-",
        "packages": ", ".join(f"{name} {version}" for name, version in found["packages"].items() if version),
        "extras": ", ".join(extras),
        "images": ", ".join(formats),
    }
    for name, text in lines.items():
        print_line(f"{name:13} {text}")
    for problem in found["problems"]:
        print_line(f"{'problem':13} {problem['what']}: {problem['how_to_mend']}")
    if not found["problems"]:
        print_line(f"{'problems':13} none")
