"""DICOM, the format of medical images: read by pydicom if the extra `dicom` is installed.

Grey values are mapped to 0..255 as the file says: rescaled (modality), and by its first window or table (values of
interest, DICOM PS3.3 C.11.2, https://dicom.nema.org/medical/dicom/current/output/html/part03.html#sect_C.11.2). Without
either, the lowest value of the image becomes black and the highest white. MONOCHROME1, in which the lowest is white, is
inverted. Of several frames, the first is read.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from resnext.errors import one_line

DICOM_SUFFIXES = (".dcm", ".dicom")
HAS_DICOM = importlib.util.find_spec("pydicom") is not None
HOW = "pip install 'resnext[dicom]' to read DICOM"
FORMAT = "DICOM"
PREAMBLE, MARK = 128, b"DICM"
# What pydicom decodes with NumPy and Pillow alone: uncompressed, RLE, JPEG and JPEG 2000. Deflated files are of unknown
# size until they are inflated.
SYNTAXES = {
    "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91",
}  # fmt: skip
COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
GREYS = ("MONOCHROME1", "MONOCHROME2")
NEEDED = (
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel", "PhotometricInterpretation",
    "PixelRepresentation", "PlanarConfiguration", "NumberOfFrames", "RescaleSlope", "RescaleIntercept", "WindowCenter",
    "WindowWidth", "VOILUTFunction", "VOILUTSequence", "ModalityLUTSequence", "LUTDescriptor", "LUTData",
)  # fmt: skip


@functools.cache
def dicom_formats() -> tuple[str, ...]:
    """Register and return the format that pydicom adds to Pillow; none if it is not installed."""
    if not HAS_DICOM:
        return ()
    config = importlib.import_module("pydicom.config")
    config.settings.reading_validation_mode = config.IGNORE  # damaged elements that are not needed are no warning
    Image.register_open(FORMAT, _DicomFile)
    return (FORMAT,)


class _DicomFile(ImageFile.ImageFile):
    """A DICOM file as Pillow opens it: size and mode from the header, the pixels when they are loaded."""

    format = FORMAT
    format_description = "DICOM"

    def _open(self) -> None:
        self.fp.seek(PREAMBLE)
        if self.fp.read(len(MARK)) != MARK:
            raise SyntaxError("not a DICOM file")  # Pillow tries another format
        header = _header(self.fp)
        self._size = int(header.Columns), int(header.Rows)
        self._mode = "RGB" if header.PhotometricInterpretation in COLOURS else "L"
        self.tile, self._is_loaded = [], False

    def load(self) -> Any:
        """Decode the pixels once."""
        if not self._is_loaded:
            self.im = Image.fromarray(_pixels(self.fp)).im
            self._is_loaded = True
        return super().load()


def _header(stream: Any) -> Any:
    """Return the elements of a file that describe its pixels. Raises ValueError for a file that is not read."""
    import pydicom
    from pydicom.filereader import _read_file_meta_info

    stream.seek(PREAMBLE + len(MARK))
    syntax = _read_file_meta_info(stream).get("TransferSyntaxUID", "")
    if not syntax:
        raise ValueError("its header is damaged: it does not say how the pixels are stored")
    if syntax not in SYNTAXES:
        raise ValueError(f"compressed by {getattr(syntax, 'name', syntax)}; save it uncompressed, or as JPEG 2000")
    stream.seek(0)
    header = pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=[*NEEDED])
    for name in ("Rows", "Columns", "PhotometricInterpretation", "BitsAllocated"):
        if name not in header:
            raise ValueError(f"has no {name}, so it is no image")
    if header.PhotometricInterpretation not in GREYS + COLOURS:
        raise ValueError(f"its pixels are {header.PhotometricInterpretation}; allowed are {', '.join(GREYS + COLOURS)}")
    if header.BitsAllocated not in (8, 16):
        raise ValueError(f"has {header.BitsAllocated} bits for each value; allowed are 8 and 16")
    return header


def _pixels(stream: Any) -> np.ndarray:
    """Return the first frame, uint8 (height, width) or (height, width, 3)."""
    from pydicom.pixels import apply_modality_lut, pixel_array

    header = _header(stream)
    stream.seek(0)
    try:
        values = pixel_array(stream, index=0)
    except (AttributeError, ValueError) as error:
        raise ValueError(f"its pixels are missing or cut off ({one_line(error, 80)})") from error
    if values.shape[:2] != (header.Rows, header.Columns):
        raise ValueError(
            f"its pixels have the shape {values.shape}, not {header.Rows} rows and {header.Columns} columns"
        )
    if header.PhotometricInterpretation in COLOURS:
        return values if values.dtype == np.uint8 else (values >> (header.BitsStored - 8)).astype(np.uint8)
    shares = _of_interest(apply_modality_lut(values, header).astype(np.float64), header)
    if header.PhotometricInterpretation == "MONOCHROME1":
        shares = 1 - shares
    return np.rint(255 * shares).astype(np.uint8)


def _of_interest(values: np.ndarray, header: Any) -> np.ndarray:
    """Return values as shares of white, by the file's first window or table, or from the lowest to the highest."""
    if header.get("VOILUTSequence"):
        from pydicom.pixels import apply_voi_lut

        table = header.VOILUTSequence[0]
        return apply_voi_lut(values.astype(np.int64), header, index=0, prefer_lut=True) / (
            2.0 ** table.LUTDescriptor[2] - 1
        )
    centre, width = (_first(header.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if centre is None or width is None or width < 1:
        low, high = values.min(), values.max()
        return (values - low) / max(high - low, np.finfo(float).tiny)
    function = header.get("VOILUTFunction") or "LINEAR"
    if function == "SIGMOID":
        return 1 / (1 + np.exp(-4 * (values - centre) / width))
    if function == "LINEAR_EXACT":
        return np.clip((values - centre) / width + 0.5, 0, 1)
    return np.clip((values - (centre - 0.5)) / max(width - 1, 1) + 0.5, 0, 1)


def _first(value: Any) -> float | None:
    """Return a number, or the first of several."""
    if value is None or value == "":
        return None
    return float(value[0] if hasattr(value, "__len__") and not isinstance(value, str) else value)
