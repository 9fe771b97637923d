"""`GET /metrics`: figures for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import Response

from service.state import State

router = APIRouter(tags=["health"])

_EXAMPLE = 'relevance_requests_total{route="/score",status="200"} 12.0\n'


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"example": _EXAMPLE}}, "description": "Prometheus' text format"}},
)
async def metrics(state: State) -> Response:
    """Requests, errors, queue, batches, scores, drift, cache and model."""
    return Response(state.metrics.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4)
