from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.service.running import pair, running_service, settings_for

pytestmark = pytest.mark.anyio


class Collector:
    """A real endpoint for OTLP over HTTP."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    import gzip

                    body = gzip.decompress(body)
                collector.requests.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def spans(self) -> list[Any]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


async def test_requests_are_spans_of_the_callers_trace(
    tiny_store: Path, tmp_path: Path, collector: Collector
) -> None:
    endpoint = f"http://127.0.0.1:{collector.server.server_port}/v1/traces"
    trace = "0af7651916cd43dd8448eb211c80319c"
    async with running_service(settings_for(tiny_store, tmp_path, otlp_endpoint=endpoint)) as service:
        headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
        await service.client.post("/score", json={"pairs": [pair("a secret query")]}, headers=headers)
        await service.client.post("/score", json={"pairs": []})
    first, second = collector.spans
    assert first.trace_id.hex() == trace
    assert first.name == "POST /score"
    attributes = {item.key: item.value for item in first.attributes}
    assert attributes["http.response.status_code"].int_value == 200
    assert attributes["relevance.pairs"].int_value == 1
    assert attributes["relevance.model_version"].int_value == 1
    assert "secret" not in str(first)
    assert {item.key: item.value for item in second.attributes}["error.type"].string_value == "invalid_field"
