"""Explanations for the user of how a training ended."""

from __future__ import annotations

from pathlib import Path

from resnext.distributed import Cluster, is_lost_peer
from resnext.errors import ImageError, OutOfMemoryError, PeerLostError
from resnext.runs.run import command_to_resume


def explained(error: Exception, folder: Path, cluster: Cluster, images: int, size: int) -> Exception | None:
    """Return the error to show the user for a backend's error, or None if it is not recognised.

    Args:
        error: exception that was raised.
        folder: run folder.
        cluster: processes of the training.
        images: images that a step processes at once.
        size: side of the images in pixels.
    """
    if cluster.processes > 1 and is_lost_peer(error):
        return PeerLostError(
            f"process {cluster.rank} of {cluster.processes}: another process has ended. Start all of them again "
            f"with: {command_to_resume(folder)}"
        )
    if isinstance(error, ImageError):
        return ImageError(
            f"{error}. Repair or remove it (resnext check-data finds all of them), or start with --skip-bad, which "
            "leaves them out"
        )
    if is_out_of_memory(error):
        return out_of_memory(images, size)
    return None


def out_of_memory(images: int, size: int, parts: int | None = None) -> OutOfMemoryError:
    """Return the error for a step that does not fit; `parts` are those into which it fitted in a trial, if in any."""
    fits = f"--accumulate {parts} fits: a trial of the same steps in parts had enough. Or use" if parts else "Use"
    return OutOfMemoryError(
        f"not enough memory for steps of {images} images of {size} pixels. {fits} a lower --batch-size or "
        f"--image-size, {'' if parts else '--accumulate, '}or --remat."
    )


def keep_error(batches, failures: list[BaseException]):
    """Yield the batches and keep any error in `failures`, because TensorFlow passes on only its text."""
    try:
        yield from batches
    except GeneratorExit:
        raise
    except BaseException as error:  # including sys.exit in a reading thread
        failures.append(error)
        raise


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out; PyTorch (CPU) and XLA are recognised by their messages."""
    words = ("out of memory", "RESOURCE_EXHAUSTED", "can't allocate memory", "OOM when allocating", "bad_alloc")
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)
