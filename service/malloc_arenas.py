"""Keeps the C library's allocator from growing with the time that a process runs.

glibc gives each thread an arena of its own, and what one thread frees of another's stays there in pieces: a fill
of a million pairs grew by 80 MB without keeping any of it. With one arena it comes to rest (measured:
docs/performance.md).
"""

from __future__ import annotations

import ctypes
import sys

_M_ARENA_MAX = -8


def share_one_arena() -> None:
    """To be called before threads are started; without glibc nothing happens."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
