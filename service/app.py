"""Puts the service together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI

from service.api import cache, health, model, score
from service.api.errors import install_error_handlers
from service.api.request_id import RequestIdMiddleware
from service.cache.opening import opened_cache
from service.engine.micro_batching import MicroBatching
from service.engine.served_model import ServedModel
from service.engine.worker_thread import WorkerThread
from service.settings import ServiceSettings
from service.state import ServiceState

_DISTRIBUTION = "continual-relevance"


def _unannounced(model: ServedModel) -> None:
    """Nobody waits for the model."""


def create_app(settings: ServiceSettings, announce: Callable[[ServedModel], None] = _unannounced) -> FastAPI:
    """The application; model and cache are opened when its lifespan begins and closed when it ends.

    `announce` is called after every attempt to load a model.
    """
    app = FastAPI(
        title="Search relevance",
        summary="Scores query-product pairs and serves the offline cache of highly relevant products.",
        version=_version(),
        lifespan=lambda app: _lifespan(app, settings, announce),
        strict_content_type=False,
    )
    app.add_middleware(RequestIdMiddleware)
    install_error_handlers(app)
    for router in (score.router, cache.router, health.router, model.router):
        app.include_router(router)
    return app


@asynccontextmanager
async def _lifespan(
    app: FastAPI, settings: ServiceSettings, announce: Callable[[ServedModel], None]
) -> AsyncIterator[None]:
    thread = WorkerThread()
    batching = MicroBatching(settings.max_waiting_pairs)
    served = ServedModel(settings, thread, announce)
    try:
        async with opened_cache(settings) as offline_cache:
            app.state.service = ServiceState(settings, batching, served, offline_cache)
            served.begin_loading()
            yield
            await served.close()
    finally:
        batching.close()
        thread.close()


def _version() -> str:
    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        # Run from a checkout that is not installed.
        return "0"
