"""How fast a fill is, and when it will be done."""

from __future__ import annotations

import time


class Pace:
    """Measures from `begin` on: what was done before it, by an interrupted fill, took no time of this one.

    Args:
        total_bytes: of all files.
    """

    def __init__(self, total_bytes: int = 0) -> None:
        self._total_bytes = total_bytes
        self.begin(0, 0)

    def begin(self, scored: int, bytes_read: int) -> None:
        """So many pairs were scored and so many bytes read before."""
        self._started = time.monotonic()
        self._scored_before, self._bytes_before = scored, bytes_read

    def pairs_per_second(self, scored: int) -> float:
        """The rate, when so many are scored in all."""
        return (scored - self._scored_before) / self._seconds

    def seconds_left(self, bytes_read: int) -> float | None:
        """Until all is read, when so many bytes are; None where nothing can be said."""
        done = bytes_read - self._bytes_before
        if not self._total_bytes or done <= 0:
            return None
        return self._seconds * (self._total_bytes - bytes_read) / done

    def share_read(self, bytes_read: int) -> float:
        """Of all bytes."""
        return bytes_read / self._total_bytes if self._total_bytes else 1.0

    @property
    def _seconds(self) -> float:
        return max(time.monotonic() - self._started, 1e-9)
