"""The one place that maps errors to HTTP answers, all of one shape."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from model_store.errors import (
    CacheUnavailableError,
    ConfigurationError,
    DeadlineExceededError,
    InputError,
    OverloadedError,
    RelevanceError,
    ShuttingDownError,
    StoreError,
)
from service.api.client_disconnect import ClientLeftError
from service.api.request_scope import ERROR_KEY, REQUEST_ID_HEADER, request_id_of
from service.jobs.folder import JobsNotConfiguredError

_MEANINGS = {
    400: "The body is not JSON",
    401: "There is no key, or an unknown one",
    403: "The key is not one for administration",
    404: "There is nothing of that name",
    408: "The body did not arrive within BODY_SECONDS",
    409: "The state of the store, the model or the job does not allow that",
    413: "The body is larger than MAX_BODY_BYTES",
    415: "The body is declared as something else than JSON, or is compressed",
    422: "A field is wrong; `detail` names it",
    429: "Too much is ahead of this request; see Retry-After",
    503: "No model is loaded, the time was not enough, or the cache does not answer; see Retry-After",
}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route; those that every request may get are among them."""
    return {status: {"model": ErrorAnswer, "description": _MEANINGS[status]} for status in (401, *statuses)}


RETRY_AFTER_SECONDS = 5

_CODES = {
    400: "malformed_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "body_too_slow",
    409: "conflict",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "invalid_field",
}
_log = logging.getLogger(__name__)


class ErrorAnswer(BaseModel):
    """Body of every answer that is not a success.

    `error` is a short code to program against, `detail` a text that says what was wrong, where and what to do,
    `type` the class of the error.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "error": "invalid_field",
                "detail": "field 'pairs[3].query': the text is empty or only white space",
                "type": "InputError",
                "request_id": "5f2c1e0b9a7d4c3e8f1a2b3c4d5e6f70",
            }
        }
    )

    error: str
    detail: str
    type: str
    request_id: str


class OrjsonResponse(JSONResponse):
    """A JSON answer written by orjson."""

    def render(self, content: object) -> bytes:
        """Content to bytes."""
        return orjson.dumps(content)


def install_error_handlers(app: FastAPI) -> None:
    """Register a handler for every kind of error."""
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(RelevanceError, _relevance_error)
    app.add_exception_handler(ClientLeftError, _client_left)
    app.add_exception_handler(Exception, _unexpected_error)


def error_answer(
    request: Request,
    status: int,
    code: str,
    detail: str,
    kind: str,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An answer in the one shape; characters that UTF-8 cannot hold are replaced."""
    request.scope[ERROR_KEY] = code
    body = ErrorAnswer(
        error=code,
        detail=detail.encode("utf-8", "replace").decode(),
        type=kind,
        request_id=request_id_of(request.scope),
    )
    return OrjsonResponse(body.model_dump(), status_code=status, headers=dict(headers or {}))


def field_path(location: Sequence[str | int]) -> str:
    """("body", "pairs", 3, "query") as `pairs[3].query`."""
    parts = location[1:] if location and location[0] in ("body", "query", "path", "header") else location
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".") or "body"


def field_problem(problems: Sequence[Mapping[str, Any]], value: object) -> str:
    """The first problem of a body as one line.

    Where a field may be of several kinds, pydantic tells a problem of each, and names the kind in the place.
    The one that goes deepest into what was sent says most.

    Args:
        problems: as pydantic has them.
        value: what was sent.
    """
    places = [_place_within(problem, value) for problem in problems]
    first = places[0]
    chosen = max(
        (number for number, place in enumerate(places) if place[: len(first)] == first),
        key=lambda number: len(places[number]),
    )
    others = {place for place in places if place != places[chosen][: len(place)]}
    more = f" (and {len(others)} more)" if others else ""
    return f"field {field_path(places[chosen])!r}: {problems[chosen]['msg']}{more}"


def _place_within(problem: Mapping[str, Any], value: object) -> tuple[str | int, ...]:
    location: tuple[str | int, ...] = problem["loc"]
    found: list[str | int] = list(location[:1]) if location[:1] == ("body",) else []
    for part in location[len(found) :]:
        inner = _inner(value, part)
        if inner is not None:
            (value,) = inner
            found.append(part)
    if problem["type"] == "missing" and found[-1:] != list(location[-1:]):
        found.append(location[-1])
    return tuple(found)


def _inner(value: object, part: str | int) -> tuple[object] | None:
    """What is at a part of a location, or None where there is no such part."""
    if isinstance(value, Mapping) and part in value:
        return (value[part],)
    if isinstance(value, list) and isinstance(part, int) and part < len(value):
        return (value[part],)
    return None


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "http_error")
    headers = dict(error.headers or {})
    if headers.get("Allow") == "GET":
        headers["Allow"] = "GET, HEAD"
    return error_answer(request, error.status_code, code, str(error.detail), type(error).__name__, headers)


def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = error.errors()
    first = problems[0]
    if first["loc"][:1] == ("body",):
        detail = field_problem(problems, error.body)
    else:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        detail = f"field {field_path(first['loc'])!r}: {first['msg']}{more}"
    return error_answer(request, 422, _CODES[422], detail, type(error).__name__)


_STATUSES: tuple[tuple[type[RelevanceError], int, str], ...] = (
    (InputError, 422, _CODES[422]),
    (JobsNotConfiguredError, 404, "not_configured"),
    (ConfigurationError, 409, _CODES[409]),
    (OverloadedError, 429, "overloaded"),
    (DeadlineExceededError, 503, "deadline_exceeded"),
    (ShuttingDownError, 503, "shutting_down"),
    (CacheUnavailableError, 503, "cache_unavailable"),
    (StoreError, 503, "model_unavailable"),
)


def _relevance_error(request: Request, error: Exception) -> Response:
    status, code = next(
        ((status, code) for kind, status, code in _STATUSES if isinstance(error, kind)), (500, "internal_error")
    )
    return error_answer(request, status, code, str(error), type(error).__name__, retry_headers(status, error))


def retry_headers(status: int, error: Exception | None = None) -> dict[str, str]:
    """When to come back, for the statuses that say so."""
    if status not in (429, 503):
        return {}
    seconds = error.retry_after_seconds if isinstance(error, OverloadedError) else RETRY_AFTER_SECONDS
    return {"Retry-After": str(seconds)}


def _client_left(request: Request, error: Exception) -> Response:
    # Nobody reads it: the status is for metrics and log.
    return error_answer(request, 499, "client_left", "the client is gone", type(error).__name__)


def _unexpected_error(request: Request, error: Exception) -> Response:
    _log.error("request %s failed", request_id_of(request.scope), exc_info=error)
    detail = "the service failed on this request; its log has the reason under this request id"
    # Starlette sends this one from outside of all middleware.
    headers = {REQUEST_ID_HEADER: request_id_of(request.scope)}
    return error_answer(request, 500, "internal_error", detail, type(error).__name__, headers)
