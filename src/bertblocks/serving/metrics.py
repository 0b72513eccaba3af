"""What a server counts, in the text form of Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_TOKENS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """One server's counts; several servers of one process have each their own."""

    def __init__(self) -> None:
        # When a count began is of no use, and would double what is told.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "Requests by route and status.", "route", "status")
        self.errors = self._counter("errors", "Requests that were refused or failed, by kind.", "kind")
        self.faulty_texts = self._counter(
            "faulty_texts", "Texts without an answer in requests that have one."
        )
        self.request_seconds = self._histogram(
            "request_seconds", "From a request's arrival to the end of its answer.", _SECONDS, "route"
        )
        self.active_requests = self._gauge("active_requests", "Requests that are read or answered.")
        self.held_bytes = self._gauge("held_bytes", "Bytes of the bodies of these requests.")
        self.texts = self._counter("texts", "Texts that were answered.")
        self.tokens = self._counter("tokens", "Tokens of these texts, those that were cut off left out.")
        self.cut_texts = self._counter("cut_texts", "Texts that were longer than the model reads, and cut.")
        self.shared_texts = self._counter("shared_texts", "Texts that joined an equal one on its way.")
        self.dropped_texts = self._counter("dropped_texts", "Texts whose client had left before their turn.")
        self.batch_tokens = self._histogram("batch_tokens", "Tokens of a batch.", _TOKENS)
        self.batch_texts = self._histogram("batch_texts", "Texts of a batch.", _TEXTS)
        self.batch_seconds = self._histogram("batch_seconds", "What a batch took to compute.", _SECONDS)
        self.worker_starts = self._counter("worker_starts", "Workers that were started, the first one too.")
        self.queue_texts = self._gauge("queue_texts", "Texts on their way, those that are computed too.")
        self.queue_tokens = self._gauge("queue_tokens", "Tokens of the texts that wait for a batch.")
        self.ready = self._gauge("ready", "1 while a worker answers, else 0.")

    def follow(self, gauge: Gauge, value: Callable[[], float]) -> None:
        """Let a gauge tell what a function says when it is asked."""
        gauge.set_function(value)

    def text(self) -> bytes:
        """All of them, for Prometheus."""
        return generate_latest(self.registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"bertblocks_{name}", meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(f"bertblocks_{name}", meaning, registry=self.registry)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"bertblocks_{name}", meaning, labels, registry=self.registry, buckets=buckets)
