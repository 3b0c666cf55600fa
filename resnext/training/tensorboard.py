"""The curves of a training, written for TensorBoard."""

from __future__ import annotations

from pathlib import Path

from resnext.errors import missing_package
from resnext.runs.history import EpochRow

TAGS = {
    "train_loss": "loss/train",
    "validation_loss": "loss/validation",
    "train_accuracy": "accuracy/train",
    "validation_accuracy": "accuracy/validation",
    "validation_macro_f1": "macro_f1/validation",
    "learning_rate": "learning_rate",
    "images_per_second": "images_per_second",
}


class TensorBoard:
    """Writes the curves of a training for TensorBoard.

    Raises:
        MissingPackageError: the package tensorboardX is not installed.
    """

    def __init__(self, folder: Path):
        try:
            from tensorboardX import SummaryWriter
        except ModuleNotFoundError as error:
            raise missing_package("--tensorboard", "tensorboardX", "tensorboard") from error
        self.make, self.folder = SummaryWriter, folder
        self.writer = None

    def end_epoch(self, row: EpochRow) -> None:
        """Add the row of an epoch."""
        # Created here, so that a run that ends in its first epoch leaves nothing.
        self.writer = self.writer or self.make(str(self.folder))
        for name, tag in TAGS.items():
            self.writer.add_scalar(tag, getattr(row, name), row.epoch)
        self.writer.flush()

    def close(self) -> None:
        """Close the file of events."""
        if self.writer:
            self.writer.close()
