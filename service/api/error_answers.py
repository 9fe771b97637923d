"""What OpenAPI says of the errors that a route may answer."""

from __future__ import annotations

from typing import Any

from service.api.errors import ErrorAnswer

_MEANINGS = {
    400: "The body is not JSON",
    401: "There is no key, or an unknown one",
    403: "The key is not one for administration",
    404: "There is nothing of that name",
    408: "The body did not arrive within BODY_SECONDS",
    409: "The state of the store, the model or the job does not allow that",
    413: "The body is larger than MAX_BODY_BYTES",
    415: "The body is declared as something else than JSON",
    422: "A field is wrong; `detail` names it",
    429: "Too much is ahead of this request; see Retry-After",
    503: "No model is loaded, the time was not enough, or the cache does not answer; see Retry-After",
}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route; those that every request may get are among them."""
    return {status: {"model": ErrorAnswer, "description": _MEANINGS[status]} for status in (401, *statuses)}
