"""What lives as long as the service: settings, metrics, batching, models, cache, jobs."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, FastAPI, Request

from service.cache.store import CacheStore
from service.engine.batching.micro_batching import MicroBatching
from service.engine.versions.served import Comparison, ServedModel
from service.jobs.fill_jobs import FillJobs
from service.observability.metrics import ServiceGauges, ServiceMetrics
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
        cache: CacheStore,
        jobs: FillJobs,
    ) -> None:
        self.settings = settings
        self.metrics = metrics
        self.batching = batching
        self.model = model
        self.comparison = comparison
        self.cache = cache
        self.jobs = jobs

    def gauges(self) -> ServiceGauges:
        """What the metrics show of this moment."""
        admission, jobs = self.batching.admission, self.jobs.queue
        return ServiceGauges(
            waiting_tokens=admission.waiting_tokens,
            waiting_requests=admission.waiting_calls,
            model_loads=self.model.loads,
            model_load_failures=self.model.failed_loads,
            model_refused=self.model.refused is not None,
            jobs_running=len(jobs.running()),
            jobs_waiting=len(jobs.waiting()),
            scorer=self.model.loaded_scorer,
        )


def state_of(app: FastAPI) -> ServiceState:
    """The state of an application whose lifespan has begun."""
    return cast("ServiceState", app.state.service)


# Asynchronous, as FastAPI runs any other in a thread.
async def _state(request: Request) -> ServiceState:
    return state_of(cast("FastAPI", request.app))


State = Annotated[ServiceState, Depends(_state)]
"""Parameter type of a route that needs the state."""
