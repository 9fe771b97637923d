"""Keeps Python's garbage collector from going through what stays.

The modules and the model are some hundred thousand objects. A full collection goes through all of them and holds
every request up meanwhile, for 0.2 seconds and more (measured: docs/performance.md).
"""

from __future__ import annotations

import gc
import os

_SHAPES = "64"
_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")


def bound_onednn_caches() -> None:
    """To be called before torch computes anything, as it reads this once; what is set already stays."""
    for name in _CACHES:
        os.environ[name] = os.environ.get(name) or _SHAPES


def settle_heap() -> None:
    """Collect garbage once more, also what stayed before, and exempt from now on all that is left."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
