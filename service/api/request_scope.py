"""What a request's ASGI scope carries from one layer of the application to another."""

from __future__ import annotations

from starlette.types import Scope

from service.observability.tracing import Fact

REQUEST_ID_HEADER = "X-Request-ID"
REQUEST_ID_KEY = "relevance.request_id"
ERROR_KEY = "relevance.error"
"""Code of the error that was answered."""
FACTS_KEY = "relevance.facts"
"""What the log line and the span say beside status and time."""


def request_id_of(scope: Scope) -> str:
    """The request's identifier; empty outside a request."""
    return str(scope.get(REQUEST_ID_KEY, ""))


def note_facts(scope: Scope, **facts: Fact) -> None:
    """Add to what the log line and the span of this request say."""
    scope.get(FACTS_KEY, {}).update(facts)
