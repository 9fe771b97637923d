"""Puts the service together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from importlib.metadata import PackageNotFoundError, version

from fastapi import Depends, FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware

from model_store.errors import RelevanceError
from service import background
from service.api.compatible import predict, rerank
from service.api.errors import install_error_handlers
from service.api.middleware.api_keys import DECLARED_KEY, KeyMiddleware, check_keys
from service.api.middleware.observation import ObservationMiddleware, RequestIdMiddleware
from service.api.middleware.request_line import PrefixMiddleware, RequestLineMiddleware
from service.api.request_scope import REQUEST_ID_HEADER
from service.api.routes import (
    cache,
    cache_administration,
    compare,
    console,
    health,
    jobs,
    model,
    score,
    score_stream,
)
from service.cache.store import opened_cache
from service.engine.batching.micro_batching import MicroBatching
from service.engine.versions.loading import WorkerThread
from service.engine.versions.served import Comparison, ServedModel, VersionSource
from service.jobs.fill_jobs import FillJobs
from service.observability.metrics import ServiceMetrics
from service.observability.tracing import Tracing
from service.settings import ServiceSettings
from service.state import ServiceState

_DISTRIBUTION = "continual-relevance"
_ROUTES = (
    score,
    score_stream,
    cache,
    cache_administration,
    jobs,
    model,
    compare,
    rerank,
    predict,
)
_OPEN_ROUTES = (health, console)


def _unannounced(model: ServedModel) -> None:
    """Nobody waits for the model."""


def create_app(settings: ServiceSettings, announce: Callable[[ServedModel], None] = _unannounced) -> FastAPI:
    """The application; model and cache are opened when its lifespan begins and closed when it ends.

    `announce` is called after every attempt to load a model.

    Raises:
        ConfigurationError: others could reach the service and there is no key; traces without their packages.
    """
    check_keys(settings)
    figures, tracing = ServiceMetrics(), Tracing(settings.otlp_endpoint)
    app = FastAPIOffline(
        title="Search relevance",
        summary="Scores query-product pairs and serves the offline cache of highly relevant products.",
        version=_version(),
        redoc_url=None,
        static_url="/docs/files",
        lifespan=lambda app: _lifespan(app, settings, figures, tracing, announce),
        strict_content_type=False,
    )
    # The last one added is the first one to see a request.
    app.add_middleware(RequestLineMiddleware)
    app.add_middleware(KeyMiddleware, settings=settings)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=[REQUEST_ID_HEADER, "Retry-After"],
        )
    app.add_middleware(ObservationMiddleware, metrics=figures, tracing=tracing)
    app.add_middleware(RequestIdMiddleware)
    app.add_middleware(PrefixMiddleware, root_path=settings.root_path)
    install_error_handlers(app)
    for module in _ROUTES:
        app.include_router(module.router, dependencies=[Depends(DECLARED_KEY)])
    for module in _OPEN_ROUTES:
        app.include_router(module.router)
    return app


@asynccontextmanager
async def _lifespan(
    app: FastAPI,
    settings: ServiceSettings,
    figures: ServiceMetrics,
    tracing: Tracing,
    announce: Callable[[ServedModel], None],
) -> AsyncIterator[None]:
    background.watch_event_loop()
    thread = WorkerThread()
    batching = MicroBatching(settings.max_waiting_tokens, settings.max_wait_seconds, figures)
    source = VersionSource(
        settings.model_store, settings.model_version, settings.engine, settings.reload_interval_seconds
    )
    served = ServedModel(source, thread, announce)
    comparison = Comparison(source, thread, served)
    try:
        async with _noted_problem(app), opened_cache(settings) as offline_cache:
            fills = FillJobs(settings, served, batching, figures)
            state = ServiceState(settings, figures, batching, served, comparison, offline_cache, fills)
            app.state.service = state
            figures.watch(state.gauges)
            served.begin_loading()
            watching = background.start("following the model store", served.watch())
            yield
            await fills.queue.close()
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            await served.close()
    finally:
        batching.close()
        thread.close()
        tracing.close()


@asynccontextmanager
async def _noted_problem(app: FastAPI) -> AsyncIterator[None]:
    try:
        yield
    except RelevanceError as error:
        app.state.problem = error
        raise


def startup_problem(app: FastAPI) -> RelevanceError | None:
    """Why an application could not start, where that is an error of ours."""
    return getattr(app.state, "problem", None)


def _version() -> str:
    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        # Run from a checkout that is not installed.
        return "0"
