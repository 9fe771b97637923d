"""Versions that are scored beside the served one, for comparison."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from model_store.versions.store import ModelStore
from service.engine.scorer import Scorer
from service.engine.versions.loading import load_scorer
from service.engine.versions.served import ServedModel, VersionSource

if TYPE_CHECKING:
    from service.engine.versions.threads import WorkerThread


class Comparison:
    """Loads versions on request; keeps the last one that does not serve, so memory holds one model more."""

    def __init__(self, source: VersionSource, thread: WorkerThread, served: ServedModel) -> None:
        self._source, self._thread, self._served = source, thread, served
        self._kept: Scorer | None = None
        self._loading = asyncio.Lock()

    async def scorer(self, number: int) -> Scorer:
        """A version's scorer.

        Raises:
            VersionNotFoundError: there is no such version.
            VersionCorruptError: it is damaged.
        """
        async with self._loading:
            for scorer in (self._served.loaded_scorer, self._kept):
                if scorer is not None and scorer.model_version == number:
                    return scorer
            store = self._source.store
            ModelStore(store).resolve(number)
            self._kept = await self._thread.run(load_scorer, store, str(number), self._source.engine)
            return self._kept
