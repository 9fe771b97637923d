"""What Prometheus reads at `/metrics`. No query or product text is ever in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service import background
from service.engine.batching.micro_batching import BatchFigures, EngineObserver
from service.observability.drift import ScoreDrift

if TYPE_CHECKING:
    from service.engine.scorer import Scorer

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
_SIZES = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536)
_SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75)
_SCORES = tuple(step / 20 for step in range(1, 21))


@dataclass(frozen=True, slots=True)
class ServiceGauges:
    """What is so at one moment. `scorer` is the loaded version, None without."""

    waiting_tokens: int
    waiting_requests: int
    model_loads: int
    model_load_failures: int
    model_refused: bool
    jobs_running: int
    jobs_waiting: int
    scorer: Scorer | None


class ServiceMetrics(EngineObserver):
    """All figures of one application, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.drift = ScoreDrift()
        self._requests = self._counter("requests", "Answered requests", "route", "status")
        self._errors = self._counter("errors", "Answers that are not a success, by code", "error")
        self._seconds = self._histogram("request_seconds", "Time of a request", _SECONDS, "route")
        self._batch_rows = self._histogram("batch_pairs", "Pairs (texts with two towers) of a batch", _SIZES)
        self._batch_tokens = self._histogram("batch_tokens", "Tokens of a batch, without padding", _SIZES)
        self._padding = self._histogram("batch_padding_share", "Padding in a batch", _SHARES)
        self._tokenizing = self._histogram("tokenizing_seconds", "Tokenizing a request's pairs", _SECONDS)
        self._queue = self._histogram("queue_seconds", "From tokens to the first batch", _SECONDS)
        self._computing = self._histogram("compute_seconds", "BatchRunner a batch", _SECONDS)
        self._scores = self._histogram("scores", "Scores", _SCORES, "marketplace")
        self._lookups = self._counter("cache_lookups", "Look-ups of queries", "marketplace", "status")
        self._writes = self._counter("cache_writes", "Pairs written to the cache", "marketplace")
        self._jobs = self._counter("jobs", "Jobs that have ended", "marketplace", "outcome")
        self._filled = self._counter("fill_pairs", "Pairs that jobs scored", "marketplace")

    def answered(self, route: str, status: int, seconds: float) -> None:
        """A request was answered; `route` is its template, as `/cache/{marketplace}`."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def failed(self, code: str) -> None:
        """An answer was an error."""
        self._errors.labels(code).inc()

    def scored(self, scorer: Scorer, marketplace: str, scores: Sequence[float]) -> None:
        """Pairs of a marketplace were scored."""
        histogram = self._scores.labels(marketplace)
        for score in scores:
            histogram.observe(score)
        self.drift.note(scorer, marketplace, scores)

    def written(self, marketplace: str, pairs: int) -> None:
        """Pairs were written to the cache."""
        self._writes.labels(marketplace).inc(pairs)

    def looked_up(self, marketplace: str, status: str) -> None:
        """A query was looked up in the cache."""
        self._lookups.labels(marketplace, status).inc()

    def job_ended(self, marketplace: str, outcome: str) -> None:
        """A job has ended: `succeeded`, `failed` or `cancelled`."""
        self._jobs.labels(marketplace, outcome).inc()

    def filled(self, marketplace: str, pairs: int) -> None:
        """A job has scored pairs."""
        self._filled.labels(marketplace).inc(pairs)

    def tokenized(self, pairs: int, seconds: float) -> None:  # noqa: ARG002 - as in EngineObserver
        """As in `EngineObserver`."""
        self._tokenizing.observe(seconds)

    def queued(self, seconds: float) -> None:
        """As in `EngineObserver`."""
        self._queue.observe(seconds)

    def computed(self, batch: BatchFigures) -> None:
        """As in `EngineObserver`."""
        self._batch_rows.observe(batch.rows)
        self._batch_tokens.observe(batch.tokens)
        self._padding.observe(batch.padding_tokens / max(1, batch.tokens + batch.padding_tokens))
        self._computing.observe(batch.seconds)

    def watch(self, read: Callable[[], ServiceGauges]) -> None:
        """Read the gauges so whenever the metrics are asked for."""
        self.registry.register(_Gauges(read, self.drift))

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(name, meaning, labels, namespace="relevance", registry=self.registry)

    def _histogram(self, name: str, meaning: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(name, meaning, labels, namespace="relevance", buckets=buckets, registry=self.registry)


class _Gauges(Collector):
    def __init__(self, read: Callable[[], ServiceGauges], drift: ScoreDrift) -> None:
        self._read, self._drift = read, drift

    def collect(self) -> Iterator[Metric]:
        """What is so at this moment."""
        now = self._read()
        yield _gauge("waiting_tokens", "Tokens that wait to be computed", now.waiting_tokens)
        yield _gauge("waiting_requests", "Requests that wait for scores", now.waiting_requests)
        yield _count("model_loads", "Versions that were loaded", now.model_loads)
        yield _count("model_load_failures", "Attempts to load a version that failed", now.model_load_failures)
        yield _gauge("model_refused", "1 while a newer version is refused", int(now.model_refused))
        yield _gauge("jobs_running", "Jobs that are being done", now.jobs_running)
        yield _gauge("jobs_waiting", "Jobs whose turn has not come", now.jobs_waiting)
        failures = CounterMetricFamily(
            "relevance_background_failures",
            "Errors of background work that nobody expected; the log has each",
            labels=["work"],
        )
        for name, count in background.failures().items():
            failures.add_metric([name], count)
        yield failures
        scorer = now.scorer
        yield _gauge("model_version", "Version that scores; 0 without", scorer.model_version if scorer else 0)
        if scorer is None:
            return
        texts = scorer.encoded_text_figures
        yield _gauge("encoded_text_bytes", "Memory of encoded texts", texts.bytes)
        yield _gauge("encoded_texts", "Encoded texts in memory", texts.entries)
        yield _count("encoded_text_hits", "Texts that were in memory, of this version", texts.hits)
        yield _count("encoded_text_misses", "Texts that were encoded, of this version", texts.misses)
        drift = GaugeMetricFamily(
            "relevance_score_drift_psi",
            "Population stability index of live scores against validation scores",
            labels=["marketplace"],
        )
        for name, value in self._drift.indices(scorer).items():
            drift.add_metric([name], value)
        yield drift


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"relevance_{name}", meaning, value)


def _count(name: str, meaning: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"relevance_{name}", meaning, value)
