"""Write a trained network in another program's format: export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from resnext.cli.options import Unchecked, checked
from resnext.cli.output import Format, printed
from resnext.cli.tables import print_line
from resnext.errors import ArgumentError, printable
from resnext.exporting.formats import LABELS, format_of
from resnext.exporting.options import ExportOptions
from resnext.files import user_path
from resnext.inference.misplaced import check_order
from resnext.metrics.names import NAMES
from resnext.runs.run import is_run


@dataclass(frozen=True)
class _Export(Unchecked, ExportOptions):
    __doc__ = ExportOptions.__doc__


def _one_of(file: Path | None, out: Path | None) -> Path:
    """Return the file to write, which is the second word or an option."""
    if file and out:
        raise ArgumentError(f"the file to write stands twice, {file} and --out {out}. Leave one of them out")
    if path := file or out:
        return path
    raise ArgumentError("export needs FILE, the file to write. Pass resnext export MODEL network.onnx")


def export(
    model: Annotated[Positional[str], tyro.conf.arg(metavar="MODEL")],
    file: Annotated[Positional[Path | None], tyro.conf.arg(metavar="FILE")] = None,
    out: Path | None = None,
    network: tyro.conf.FlagCreatePairsOff[tyro.conf.OmitArgPrefixes[_Export]] = _Export(),
    weights: str | None = None,
    data: str | None = None,
    images: Path | None = None,
    format: Format = "table",
) -> None:
    """Export a trained network with its classes and normalisation, and verify the file in its own runtime.

    Args:
        model: run folder, file of weights, hf:OWNER/NAME, tag of published weights, or name of a network; A+B
            averages the logits of models A and B.
        file: file to write (.onnx, .xml, .tflite or .pt2, with labels.txt beside it), or new folder.
        out: the same, as an option.
        network: what the file computes.
        weights: best or last, for a run; a file, hf:OWNER/NAME or a tag, for the name of a network.
        data: labelled images for float16 and int8; by default the run's.
        images: file, folder or archive of images on which to compare the file with the network.
        format: form of what is printed: table, json or csv.
    """
    from resnext.exporting.export import export

    if file and is_run(user_path(file)) and not is_run(user_path(model)):
        swapped = f"resnext export {printable(file)} {printable(model)}"
        raise ArgumentError(f"{printable(file)}: a run, not a file to write. The model comes first: {swapped}")
    path = _one_of(file, out)
    chosen = checked(ExportOptions, network)
    check_order("resnext export", model, [str(file)] if file else [])
    done = export(model, path, weights=weights, images=images, data=data, options=chosen)
    dtype = chosen.dtype
    facts = {"file": done.path, "to": chosen.to or format_of(path), "dtype": dtype}
    if printed(format, {**facts, **{name: value for name, value in done._asdict().items() if name != "path"}}):
        return
    print_line(f"exported: {printable(done.path)}, with {LABELS}")
    in_float32 = "" if dtype == "float32" else ", before its conversion,"
    print_line(
        f"checked in its runtime{in_float32} on {done.images} images ({printable(done.source)}): largest difference of "
        f"a probability {done.difference:.1e}"
    )
    if done.address:
        print_line(f"pushed: {printable(done.address)}")
    if cost := done.cost:
        how = f"; calibrated by {chosen.calibration} on {cost.calibrated:,}" if dtype == "int8" else ""
        before, after = (f"{100 * share:.2f} %" for share in (cost.before, cost.after))
        print_line(f"{dtype}: {NAMES[cost.metric]} {before} before, {after} after, on {cost.evaluated:,} images{how}")
