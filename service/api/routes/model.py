"""Which model scores, which versions there are, and pairs to try them with.

`GET /model`, `GET /model/versions`, `POST /model/reload`, `POST /model/rollback`, `GET /examples/{marketplace}`.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path
from starlette.exceptions import HTTPException

from model_store.errors import StoreError, VersionCorruptError, VersionNotFoundError
from model_store.versions.manifest import Manifest, MarketplaceEntry
from model_store.versions.store import ModelStore
from service.api.errors import answers
from service.api.pair_checks import checked_known_marketplace
from service.api.schemas.models import (
    ExamplePair,
    ExamplesAnswer,
    MarketplaceAnswer,
    ModelAnswer,
    PlainProbesAnswer,
    ReloadAnswer,
    VersionAnswer,
    VersionsAnswer,
)
from service.state import ServiceState, State

router = APIRouter(tags=["model"])


@router.get("/model", summary="Show the model that scores", responses=answers(503))
async def model(state: State) -> ModelAnswer:
    """Number, marketplaces with their thresholds, base encoder and pair encoding."""
    scorer = state.model.required_scorer()
    manifest = scorer.manifest
    return ModelAnswer(
        model_version=manifest.number,
        parent=manifest.parent,
        created_at=manifest.created_at,
        device=scorer.device,
        engine=scorer.choice.name,
        base_encoder=manifest.base_encoder.source,
        interaction=manifest.pair_encoding.interaction,
        product_fields=list(manifest.pair_encoding.product_fields),
        marketplaces=[_marketplace(entry, manifest) for entry in manifest.marketplaces],
        roc_auc=list(manifest.metric_matrix),
        untrained_roc_auc=manifest.zero_shot,
    )


def _marketplace(entry: MarketplaceEntry, manifest: Manifest) -> MarketplaceAnswer:
    report = entry.threshold
    return MarketplaceAnswer(
        name=entry.name,
        language=entry.language,
        threshold=report.threshold if report else None,
        target_precision=report.target_precision if report else None,
        precision=report.precision if report else None,
        recall=report.recall if report else None,
        validation_auc=entry.validation_auc,
        plain_probes=_plain_probes(entry.name, manifest),
    )


def _plain_probes(marketplace: str, manifest: Manifest) -> PlainProbesAnswer | None:
    found = manifest.plain_probes.get(marketplace)
    if found is None:
        return None
    change = manifest.promotion.plain_probes.get(marketplace)
    return PlainProbesAnswer(
        probes=found.probes,
        share=found.share,
        parent=change.previous if change is not None and change.against == "parent" else None,
        untrained=found.untrained,
    )


@router.get("/model/versions", summary="List model versions", responses=answers(403, 503))
async def versions(state: State) -> VersionsAnswer:
    """All versions of the store, the newest first."""
    scorer = state.model.loaded_scorer
    served = scorer.model_version if scorer else None
    return await asyncio.to_thread(_versions, ModelStore(state.settings.model_store), served)


@router.post("/model/reload", summary="Serve the newest version now", responses=answers(403, 503))
async def reload(state: State) -> ReloadAnswer:
    """Look at the store now, not at the next interval; answers once the newest version serves or is refused."""
    return await _followed(state)


@router.post("/model/rollback", summary="Serve the previous version", responses=answers(403, 409, 503))
async def rollback(state: State) -> ReloadAnswer:
    """Move the store's pointer back to the version that was served before, and serve that."""
    try:
        await asyncio.to_thread(ModelStore(state.settings.model_store).rollback)
    except StoreError as error:
        raise HTTPException(409, str(error)) from error
    return await _followed(state)


async def _followed(state: ServiceState) -> ReloadAnswer:
    before = state.model.loaded_scorer
    await state.model.follow(again=True)
    now = state.model.required_scorer()
    refused = state.model.refused
    return ReloadAnswer(
        model_version=now.model_version,
        previous_version=(before or now).model_version,
        refused=refused.problem if refused else None,
    )


def _versions(store: ModelStore, served: int | None) -> VersionsAnswer:
    try:
        newest: int | None = store.latest()
    except VersionNotFoundError:
        newest = None
    found: list[VersionAnswer] = []
    damaged: list[str] = []
    for number in reversed(store.numbers()):
        try:
            manifest = store.manifest(number)
        except VersionCorruptError as error:
            damaged.append(str(error))
            continue
        except StoreError:
            continue
        found.append(
            VersionAnswer(
                model_version=number,
                created_at=manifest.created_at,
                marketplaces=manifest.names,
                promoted=manifest.promotion.promoted,
                promotion_reason=manifest.promotion.reason_and_warnings,
                newest=number == newest,
                served=number == served,
            )
        )
    return VersionsAnswer(versions=found, damaged=damaged)


@router.get("/examples/{marketplace}", summary="Example pairs of a version", responses=answers(422, 503))
async def examples(state: State, marketplace: Annotated[str, Path(examples=["us"])]) -> ExamplesAnswer:
    """Pairs of the marketplace's validation rows that are stored with the version."""
    scorer = state.model.required_scorer()
    name = checked_known_marketplace(marketplace, scorer.marketplaces)
    return ExamplesAnswer(
        model_version=scorer.model_version,
        examples=[
            ExamplePair(query=pair.query, product_id=pair.product_id, product_title=pair.product_title)
            for pair in scorer.manifest.probe_pairs
            if pair.marketplace == name
        ],
    )
