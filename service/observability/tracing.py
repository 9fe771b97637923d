"""Traces of requests over OTLP, where OTLP_ENDPOINT is set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from model_store.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.trace import Span
    from starlette.types import Scope

Fact = str | int | float | list[str]


class RequestSpan:
    """One request's span, or none."""

    def __init__(self, span: Span | None) -> None:
        self._span = span

    def end_with(self, facts: Mapping[str, Fact]) -> None:
        """Give the span its name and attributes."""
        if self._span is None:
            return
        from opentelemetry.trace import StatusCode

        self._span.update_name(f"{facts['method']} {facts['route']}")
        self._span.set_attributes(
            {_ATTRIBUTES.get(name, f"relevance.{name}"): fact for name, fact in facts.items()}
        )
        if int(str(facts["status"])) >= 500:
            self._span.set_status(StatusCode.ERROR)


_ATTRIBUTES = {
    "method": "http.request.method",
    "route": "http.route",
    "status": "http.response.status_code",
    "error": "error.type",
}


class Tracing:
    """Spans of requests, children of the caller's where it sends `traceparent`. Without an endpoint, nothing.

    Raises:
        ConfigurationError: there is an endpoint, but not the packages of the extra `tracing`.
    """

    def __init__(self, endpoint: str | None) -> None:
        self._provider: Any = None
        if endpoint is None:
            return
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise ConfigurationError(
                "setting OTLP_ENDPOINT: traces need the extra: pip install 'continual-relevance[tracing]'"
            ) from error
        self._provider = TracerProvider(resource=Resource.create({"service.name": "continual-relevance"}))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint)))

    @contextmanager
    def request(self, scope: Scope) -> Iterator[RequestSpan]:
        """The span of a request."""
        if self._provider is None:
            yield RequestSpan(None)
            return
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        tracer = self._provider.get_tracer("service")
        with tracer.start_as_current_span("request", context=extract(headers), kind=SpanKind.SERVER) as span:
            yield RequestSpan(span)

    def close(self) -> None:
        """Send what was not sent yet."""
        if self._provider is not None:
            self._provider.shutdown()
