"""Gives every request an identifier, and notes it: metrics, one log line, one span."""

from __future__ import annotations

import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.request_scope import ERROR_KEY, FACTS_KEY, REQUEST_ID_HEADER, REQUEST_ID_KEY, request_id_of
from service.observability.metrics import ServiceMetrics
from service.observability.tracing import Fact, Tracing

_SAFE = re.compile(r"[A-Za-z0-9._:-]{1,128}")

_UNKNOWN_ROUTE = "unknown"
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
_log = logging.getLogger("service.requests")


class RequestIdMiddleware:
    """Takes the caller's id if it is harmless, else makes one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        request_id = given if _SAFE.fullmatch(given) else uuid.uuid4().hex
        scope[REQUEST_ID_KEY] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        await self._app(scope, receive, send_with_id)


class ObservationMiddleware:
    """Measures from the first byte of the request to the last of the answer."""

    def __init__(self, app: ASGIApp, metrics: ServiceMetrics, tracing: Tracing) -> None:
        self._app, self._metrics, self._tracing = app, metrics, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500
        scope[FACTS_KEY] = {}

        async def noting_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._tracing.request(scope) as span:
            try:
                await self._app(scope, receive, noting_send)
            finally:
                facts = self._facts(scope, status, time.perf_counter() - started)
                span.end_with(facts)

    def _facts(self, scope: Scope, status: int, seconds: float) -> dict[str, Fact]:
        route = getattr(scope.get("route"), "path", _UNKNOWN_ROUTE)
        self._metrics.answered(route, status, seconds)
        facts: dict[str, Fact] = {
            "request_id": request_id_of(scope),
            "method": scope["method"],
            "route": route,
            "status": status,
            "seconds": round(seconds, 6),
            **scope[FACTS_KEY],
        }
        if status >= 400:
            facts["error"] = scope.get(ERROR_KEY, "internal_error")
            self._metrics.failed(str(facts["error"]))
        level = logging.DEBUG if route in _QUIET and status < 400 else logging.INFO
        _log.log(level, "%s %s %d", scope["method"], route, status, extra=facts)
        return facts
