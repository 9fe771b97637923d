"""Bounds what torch's CPU library keeps for every shape that it has computed.

By default that is 1024 shapes in each of two caches, which for texts of all lengths fill up with as much memory
as several models take and are hardly ever hit: with 64 the service is as fast and stays flat (measured:
docs/performance.md).
"""

from __future__ import annotations

import os

_SHAPES = "64"
_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")


def bound_onednn_caches() -> None:
    """To be called before torch computes anything, as it reads this once; what is set already stays."""
    for name in _CACHES:
        os.environ[name] = os.environ.get(name) or _SHAPES
