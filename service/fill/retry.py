"""A cache that is away for a while is waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from model_store.errors import CacheUnavailableError
from service.cache.server.errors import CacheRefusedError

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
_Result = TypeVar("_Result")


class RetryPolicy:
    """Tries again with longer and longer pauses.

    Args:
        seconds: how long to wait in all, from the first failure on.
        say: gets a line that the cache is waited for, and that it is back.
    """

    def __init__(self, seconds: float, say: Callable[[str], None]) -> None:
        self._seconds = seconds
        self._say = say

    async def run(self, operation: Callable[[], Awaitable[_Result]]) -> _Result:
        """The result of an operation that may be done twice; what waiting cannot heal is raised at once.

        Raises:
            CacheUnavailableError: the cache stayed away.
        """
        pause, since = _FIRST_PAUSE_SECONDS, 0.0
        while True:
            try:
                result = await operation()
            except CacheRefusedError:
                raise
            except CacheUnavailableError as error:
                now = time.monotonic()
                if not since:
                    since = now
                    self._say(f"waiting for the cache, at most {self._seconds:g} s: {error}")
                if now - since + pause > self._seconds:
                    raise
            else:
                if since:
                    self._say(f"the cache is back after {time.monotonic() - since:.1f} s")
                return result
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
