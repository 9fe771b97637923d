"""What lives as long as the service: settings, metrics, batching, models, cache, jobs."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, FastAPI, Request

from service.cache.offline_cache import OfflineCache
from service.engine.comparison import Comparison
from service.engine.micro_batching import MicroBatching
from service.engine.served_model import ServedModel
from service.jobs.fill_jobs import FillJobs
from service.metrics import ServiceMetrics
from service.settings import ServiceSettings


class ServiceState:
    """One per application."""

    def __init__(
        self,
        settings: ServiceSettings,
        metrics: ServiceMetrics,
        batching: MicroBatching,
        model: ServedModel,
        comparison: Comparison,
        cache: OfflineCache,
        jobs: FillJobs,
    ) -> None:
        self.settings = settings
        self.metrics = metrics
        self.batching = batching
        self.model = model
        self.comparison = comparison
        self.cache = cache
        self.jobs = jobs


def state_of(app: FastAPI) -> ServiceState:
    """The state of an application whose lifespan has begun."""
    return cast("ServiceState", app.state.service)


# Asynchronous, as FastAPI runs any other in a thread.
async def _state(request: Request) -> ServiceState:
    return state_of(cast("FastAPI", request.app))


State = Annotated[ServiceState, Depends(_state)]
"""Parameter type of a route that needs the state."""
