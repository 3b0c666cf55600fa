"""Data sets packed into tar archives, well and badly."""

import io
import tarfile

from PIL import Image

SUFFIXES = [".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2"]
MODES = {".tar": "w", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.xz": "w:xz", ".tar.bz2": "w:bz2"}


def pack(folder, archive, below=""):
    """The folder's content as an archive, below a folder of its own if asked."""
    suffix = next(suffix for suffix in SUFFIXES if archive.name.endswith(suffix))
    with tarfile.open(archive, MODES[suffix]) as tar:
        for path in sorted(folder.iterdir(), reverse=True):
            tar.add(path, f"{below}{path.name}")
    return archive


def png(colour=0):
    content = io.BytesIO()
    Image.new("RGB", (4, 4), (colour, 0, 0)).save(content, "PNG")
    return content.getvalue()


def archive_of(path, *members, mode="w"):
    """An archive with files by (name, content), or with ready-made headers."""
    with tarfile.open(path, mode) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            name, content = member
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


FOUR = [(f"{name}/{i}.png", png(i)) for name in "ab" for i in range(2)]
