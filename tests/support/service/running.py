"""A running application and a client for it, in one process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from model_store.product import Product, QueryProductPair
from model_store.versions.manifest import ProbePair
from service.app import create_app
from service.engine.options import EngineOptions
from service.engine.scorer import Scorer
from service.engine.versions.loading import load_scorer
from service.settings import ServiceSettings
from service.state import ServiceState, state_of


@dataclass(frozen=True)
class RunningService:
    client: httpx.AsyncClient
    state: ServiceState


def exact_scorer(store: Path, *, token_budget: int = 2048, encoded_text_bytes: int = 2**28) -> Scorer:
    """The newest version in torch and float32."""
    return load_scorer(
        store,
        options=EngineOptions("cpu", "torch", "float32", token_budget, encoded_text_bytes),
    )


def settings_for(store: Path, folder: Path, **changes: object) -> ServiceSettings:
    values = {
        "model_store": store,
        "cache_folder": folder / "cache",
        "device": "cpu",
        "token_budget": 2048,
        **changes,
    }
    return ServiceSettings(_env_file=None, **values)  # type: ignore[arg-type]


@asynccontextmanager
async def running_service(settings: ServiceSettings) -> AsyncIterator[RunningService]:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        state = state_of(app)
        await state.model.loaded()
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            yield RunningService(client, state)


def pair(
    query: str = "usb c cable", title: str = "USB C cable 2 m", *, marketplace: str = "us", product_id: str = "p1"
) -> dict[str, object]:
    return {"marketplace": marketplace, "query": query, "product": {"id": product_id, "title": title}}


def with_probes(scorer: Scorer, change: float = 0.0) -> Scorer:
    """Give the scorer's manifest probe pairs with its own scores, changed by so much."""
    pairs = [
        QueryProductPair(name, "usb cable", Product("p", f"cable {number}"))
        for number in range(2)
        for name in scorer.marketplaces[:2]
    ]
    probes = tuple(
        ProbePair(
            marketplace=pair.marketplace,
            query=pair.query,
            product_id=pair.product.id,
            product_title=pair.product.title,
            score=score + change,
        )
        for pair, score in zip(pairs, scorer.score(pairs), strict=True)
    )
    scorer.manifest = scorer.manifest.model_copy(update={"probe_pairs": probes})
    return scorer
