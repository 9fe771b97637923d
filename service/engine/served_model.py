"""The model version that the service has loaded, is loading, or cannot load, and why."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from model_store.errors import RelevanceError, VersionNotFoundError
from service.engine.scorer import Scorer
from service.engine.scorer_loading import load_scorer

if TYPE_CHECKING:
    from service.engine.worker_thread import WorkerThread
    from service.settings import ServiceSettings

RETRY_SECONDS = 5.0
"""A store that had no usable version is looked at again after this time, when somebody asks."""

_log = logging.getLogger(__name__)


class ServedModel:
    """Loads in the background, so that health checks are answered meanwhile.

    `announce` is called with the new state after every attempt: `loaded_scorer` or `problem` tells how it went.
    """

    def __init__(
        self, settings: ServiceSettings, thread: WorkerThread, announce: Callable[[ServedModel], None]
    ) -> None:
        self._settings = settings
        self._thread = thread
        self._announce = announce
        self._task: asyncio.Task[None] | None = None
        self._last_attempt = -math.inf
        self._scorer: Scorer | None = None
        self.problem = "the model is being loaded"

    def begin_loading(self) -> None:
        """Start to load, unless that is under way or was tried a moment ago."""
        under_way = self._task is not None and not self._task.done()
        if self._scorer is not None or under_way or time.monotonic() - self._last_attempt < RETRY_SECONDS:
            return
        self._last_attempt = time.monotonic()
        self._task = asyncio.create_task(self._load())

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

    async def close(self) -> None:
        """Wait for an attempt that is under way: its thread cannot be interrupted."""
        await self.loaded()

    async def _load(self) -> None:
        settings = self._settings
        try:
            self._scorer = await self._thread.run(
                load_scorer, settings.model_store, settings.model_version, settings.engine
            )
        except (RelevanceError, OSError, RuntimeError) as error:
            self.problem = str(error)
            _log.warning("no model is loaded: %s", error)
        else:
            _log.info("model version %d is loaded on %s", self._scorer.model_version, self._scorer.device)
        self._announce(self)
