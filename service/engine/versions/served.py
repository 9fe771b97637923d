"""The version that the service has loaded, the newer one that it loads beside it, and what went wrong.

`Comparison` keeps one more, which is scored beside the served one on request.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model_store.errors import RelevanceError, VersionNotFoundError
from model_store.versions.store import ModelStore
from service import background
from service.engine.options import EngineOptions
from service.engine.scorer import Scorer
from service.engine.versions.loading import load_scorer
from service.engine.versions.quality import check_probes

if TYPE_CHECKING:
    from service.engine.versions.loading import WorkerThread

RETRY_SECONDS = 5.0
"""A store that had no usable version is looked at again after this time, when somebody asks."""

RETRY_BROKEN_SECONDS = 60.0
"""A newer version that could not be loaded is tried again after this time."""

_FOLLOWING = "following the model store"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VersionSource:
    """Which version is served, in what form, and how often the store is asked for a newer one.

    Args:
        version: a number, or `latest`.
    """

    store: Path
    version: str
    engine: EngineOptions
    reload_seconds: float


@dataclass(frozen=True, slots=True)
class RefusedVersion:
    """A newer version that is not served, and why; `version` is None where the store could not tell it."""

    version: int | None
    problem: str


class ServedModel:
    """Loads in the background, so that requests are answered meanwhile.

    Once a version is loaded, `watch` follows the store: a newer one is loaded, warmed and checked beside it, and
    then takes its place. A request keeps the scorer it began with, so no answer is of two versions. A version
    that cannot be loaded changes nothing but `refused`.

    `announce` is called with the new state after every attempt: `loaded_scorer`, `refused` and `problem` tell how
    it went.
    """

    def __init__(
        self, source: VersionSource, thread: WorkerThread, announce: Callable[[ServedModel], None]
    ) -> None:
        self._source = source
        self._thread = thread
        self._announce = announce
        self._loading = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._last_attempt = -math.inf
        self._scorer: Scorer | None = None
        self.problem = "the model is being loaded"
        self.refused: RefusedVersion | None = None
        self.loads = 0
        self.failed_loads = 0

    def begin_loading(self) -> None:
        """Start to load, unless a version is loaded, that is under way, or was tried a moment ago."""
        under_way = self._task is not None and not self._task.done()
        if self._scorer is not None or under_way or time.monotonic() - self._last_attempt < RETRY_SECONDS:
            return
        self._last_attempt = time.monotonic()
        self._task = background.start(_FOLLOWING, self.follow(again=True))

    async def loaded(self) -> Scorer | None:
        """Wait until the attempt that is under way has ended."""
        if self._task is not None:
            await self._task
        return self._scorer

    @property
    def loaded_scorer(self) -> Scorer | None:
        """The loaded version, or None; asking changes nothing."""
        return self._scorer

    @property
    def scorer(self) -> Scorer | None:
        """The loaded version, or None; asking may start another attempt to load."""
        self.begin_loading()
        return self._scorer

    def required_scorer(self) -> Scorer:
        """The loaded version.

        Raises:
            VersionNotFoundError: none is loaded (yet); says why.
        """
        scorer = self.scorer
        if scorer is None:
            raise VersionNotFoundError(f"no model is loaded: {self.problem}")
        return scorer

    async def watch(self) -> None:
        """Follow the store until cancelled, whatever it holds."""
        await background.repeat(_FOLLOWING, self._source.reload_seconds, self._take_turn)

    async def _take_turn(self) -> None:
        if self._scorer is None:
            self.begin_loading()
        else:
            await self.follow()

    async def follow(self, *, again: bool = False) -> None:
        """Serve the version that the settings name, if it is another than the loaded one.

        Args:
            again: try a version that was refused a moment ago, too.
        """
        async with self._loading:
            try:
                number = await self._thread.run(self._wanted)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with the store, it is refused
                self._refuse(None, error)
                return
            if self._scorer is not None and self._scorer.model_version == number:
                self.refused = None
                return
            if again or not self._was_refused_lately(number):
                await self._load(number)

    async def close(self) -> None:
        """Wait for an attempt that is under way: its thread cannot be interrupted."""
        with suppress(asyncio.CancelledError):
            await self.loaded()
        async with self._loading:
            return

    def _wanted(self) -> int:
        return ModelStore(self._source.store).resolve(self._source.version)

    def _was_refused_lately(self, number: int) -> bool:
        refused = self.refused
        lately = time.monotonic() - self._last_attempt < RETRY_BROKEN_SECONDS
        return refused is not None and refused.version == number and lately

    async def _load(self, number: int) -> None:
        self._last_attempt = time.monotonic()
        try:
            scorer = await self._thread.run(self._loaded_and_checked, number)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the version, it is refused
            self.failed_loads += 1
            self._refuse(number, error)
            return
        self._scorer, self.refused = scorer, None
        self.loads += 1
        _log.info("model version %d is loaded on %s", number, scorer.device)
        self._tell()

    def _loaded_and_checked(self, number: int) -> Scorer:
        scorer = load_scorer(self._source.store, str(number), self._source.engine)
        check_probes(scorer)
        return scorer

    def _refuse(self, number: int | None, error: Exception) -> None:
        refused = RefusedVersion(number, background.described(error))
        known = self.refused == refused
        self.refused = refused
        # Of an error that nobody foresaw, where it came from says more than its text.
        unforeseen = None if known or isinstance(error, RelevanceError | OSError) else error
        if self._scorer is None:
            self.problem = refused.problem
            _log.warning("no model is loaded: %s", refused.problem, exc_info=unforeseen)
        elif not known:
            _log.warning(
                "version %s is refused, version %d keeps serving: %s",
                number,
                self._scorer.model_version,
                refused.problem,
                exc_info=unforeseen,
            )
        if not known:
            self._tell()

    def _tell(self) -> None:
        with background.supervised("announcing the model"):
            self._announce(self)


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
