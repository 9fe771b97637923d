"""`GET /healthz`, `GET /readyz` and `GET /metrics`: what those who run the service ask."""

from __future__ import annotations

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import Response

from model_store.errors import CacheUnavailableError
from service.api.errors import RETRY_AFTER_SECONDS, answers, error_answer
from service.api.schemas.models import HealthAnswer, ReadyAnswer
from service.state import ServiceState, State

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Say whether the process is alive")
async def healthz() -> HealthAnswer:
    """Answers as long as the process does, model or not."""
    return HealthAnswer()


@router.get(
    "/readyz", summary="Say whether the service can score", response_model=ReadyAnswer, responses=answers(503)
)
async def readyz(request: Request, state: State) -> ReadyAnswer | Response:
    """Ready when a model is loaded. Without the cache it still scores, so that only appears in `missing`."""
    scorer = state.model.scorer
    missing = [f"model: {state.model.problem}"] if scorer is None else []
    missing += await _missing_cache(state)
    if scorer is None:
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return error_answer(request, 503, "not_ready", "; ".join(missing), "VersionNotFoundError", headers)
    refused = state.model.refused
    return ReadyAnswer(
        model_version=scorer.model_version, missing=missing, refused=refused.problem if refused else None
    )


async def _missing_cache(state: ServiceState) -> list[str]:
    try:
        await state.cache.connection.ping()
    except CacheUnavailableError as error:
        return [f"cache: {error}"]
    return []


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
