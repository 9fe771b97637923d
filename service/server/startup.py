"""Keeps Python's garbage collector from going through what stays.

The modules and the model are some hundred thousand objects. A full collection goes through all of them and holds
every request up meanwhile, for 0.2 seconds and more (measured: docs/performance.md).
"""

from __future__ import annotations

import gc


def freeze_heap() -> None:
    """Collect garbage once more, also what stayed before, and exempt from now on all that is left."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
