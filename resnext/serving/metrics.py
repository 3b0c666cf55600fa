"""The counters of a server, for Prometheus (https://prometheus.io/docs/instrumenting/exposition_formats/)."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
IMAGES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counters of one server."""

    def __init__(self) -> None:
        kept = self.kept = CollectorRegistry()
        self.requests = Counter(
            "resnext_requests", "Requests for inference, by model and status.", ["model", "status"], registry=kept
        )
        self.seconds = Histogram(
            "resnext_request_seconds", "Time from the whole request to its answer.", ["model"], buckets=SECONDS,
            registry=kept,
        )  # fmt: skip
        self.batches = Histogram(
            "resnext_batch_images", "Images that a network computed at once.", ["model"], buckets=IMAGES, registry=kept
        )
        self.busy = Counter("resnext_network_seconds", "Time in which a network computed.", ["model"], registry=kept)
        self.waiting = Gauge(
            "resnext_waiting_images", "Images that are read, wait or are computed.", ["model"], registry=kept
        )
        self.reloads = Counter("resnext_reloads", "Models loaded again, by result.", ["model", "result"], registry=kept)

    def text(self) -> bytes:
        """Return all counters in Prometheus's text format."""
        return generate_latest(self.kept)
