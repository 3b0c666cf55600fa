"""The curves of a training, written for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = "tensorboard"
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
    """Writes the curves of a training for TensorBoard, by tensorboardX, which does not need TensorFlow."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]):
        from tensorboardX import SummaryWriter

        self.make, self.folder = SummaryWriter, folder / FOLDER
        self.writer = None

    def end_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Add the metrics of an epoch."""
        # Created here, so that a run that ends in its first epoch leaves nothing.
        self.writer = self.writer or self.make(str(self.folder))
        for name, tag in TAGS.items():
            if name in metrics:
                self.writer.add_scalar(tag, metrics[name], epoch)
        self.writer.flush()

    def close(self) -> None:
        """Close the file of events."""
        if self.writer:
            self.writer.close()
