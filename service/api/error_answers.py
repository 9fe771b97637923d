"""What OpenAPI says of the errors that a route may answer."""

from __future__ import annotations

from typing import Any

from service.api.errors import ErrorAnswer

_MEANINGS = {
    400: "The body is not JSON",
    413: "The body is larger than MAX_BODY_BYTES",
    415: "The body is declared as something else than JSON",
    422: "A field is wrong; `detail` names it",
    503: "No model is loaded, too much waits, or the cache does not answer; see Retry-After",
}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route."""
    return {status: {"model": ErrorAnswer, "description": _MEANINGS[status]} for status in statuses}
