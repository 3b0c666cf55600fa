"""A log as JSON lines, for programs that follow a training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FILE = "log.jsonl"


class JsonLines:
    """An object on each line of log.jsonl in the run folder: an event, its time (UTC), and its values.

    The events are "start" (again when a training is resumed), "epoch" and "end". A line is complete once it is there.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]):
        self.path, self.waiting = folder / FILE, [("start", dict(settings))]

    def end_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Add the metrics of an epoch."""
        self._write("epoch", {"epoch": epoch, **metrics})

    def close(self) -> None:
        """Add the end, if there was an epoch: a run that ends before its first leaves nothing."""
        if not self.waiting:
            self._write("end", {})

    def _write(self, event: str, values: Mapping[str, Any]) -> None:
        lines = [*self.waiting, (event, values)]
        self.waiting = []
        with self.path.open("a", encoding="utf-8") as file:
            for name, each in lines:
                now = datetime.now(UTC).isoformat(timespec="seconds")
                file.write(json.dumps({"event": name, "time": now, **each}) + "\n")
