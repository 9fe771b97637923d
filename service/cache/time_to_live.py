"""How long entries live: a base and a jitter, so that those of one fill do not all expire at once."""

from __future__ import annotations

import zlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TimeToLive:
    """An entry lives `seconds` to `seconds * (1 + jitter)`, evenly spread and always the same for a key."""

    seconds: float
    jitter: float = 0.1

    def milliseconds(self, key: str) -> int:
        """The time to live of the entry at a key."""
        place = zlib.crc32(key.encode()) / 2**32
        return round(1000 * self.seconds * (1 + self.jitter * place))
