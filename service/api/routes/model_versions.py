"""`GET /model/versions`, `POST /model/reload`, `POST /model/rollback`: the store's versions, and which serves."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.exceptions import HTTPException

from model_store.errors import StoreError, VersionCorruptError, VersionNotFoundError
from model_store.versions.store import ModelStore
from service.api.errors import answers
from service.api.schemas.models import ReloadAnswer, VersionAnswer, VersionsAnswer
from service.state import ServiceState, State

router = APIRouter(tags=["model"])


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
