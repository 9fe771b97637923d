"""Proof that a method kept none of the rows it learnt from: no replay of older marketplaces' data."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from model_store.errors import ReplayError
from training.stages.labelled_tokens import LabelledTokens, MarketplaceRows

Lend = Callable[[MarketplaceRows], MarketplaceRows]


@contextmanager
def lent_rows(method: str) -> Iterator[Lend]:
    """Lend rows to a method for one step, and check afterwards that nothing holds them any more.

        with lent_rows(method.name) as lend:
            method.learn(lend(MarketplaceRows(marketplace, LabelledTokens.of(...), LabelledTokens.of(...))))

    The rows must be made for this step alone and bound to no name of the caller's, who would then be what
    keeps them. Watched are the rows and the arrays inside them, so that a part cannot be kept either.

    Raises:
        ReplayError: something keeps a part of the rows after the block.
    """
    lent: list[tuple[str, weakref.ref[object]]] = []

    def lend(rows: MarketplaceRows) -> MarketplaceRows:
        for name, data in {"train": rows.train, "validation": rows.validation, **rows.translated}.items():
            lent.extend((f"{rows.marketplace} ({name})", reference) for reference in _watched(data))
        return rows

    yield lend
    gc.collect()
    kept = sorted({place for place, reference in lent if reference() is not None})
    if kept:
        raise ReplayError(
            f"{method} still holds rows of {', '.join(kept)} after its step: it may keep weights, never data"
        )


def _watched(data: LabelledTokens) -> Iterator[weakref.ref[object]]:
    tokenized = data.tokenized
    parts: tuple[object, ...] = (data, data.labels, data.lengths, tokenized.query_index, tokenized.product_index)
    yield from (weakref.ref(part) for part in parts)
