"""Few sizes for many batches: oneDNN makes code for every number of rows that it meets.

That takes half a millisecond and half a megabyte for each of a layer's eight products, far more than a few unused
rows do.
"""

from __future__ import annotations

from torch import Tensor

_FINEST_STEP = 16
_STEPS_PER_OCTAVE = 8


def rounded_rows(rows: int) -> int:
    """The next size up: a multiple of 16, from 128 rows on one of 8 sizes between two powers of two."""
    step = max(_FINEST_STEP, (1 << (rows - 1).bit_length()) // (2 * _STEPS_PER_OCTAVE))
    return -(-rows // step) * step


def with_rows(tokens: Tensor, rows: int) -> Tensor:
    """(n, size) to (rows, size), zeros behind; the tensor itself where it has as many."""
    if len(tokens) == rows:
        return tokens
    filled = tokens.new_empty(rows, tokens.shape[1])
    filled[: len(tokens)] = tokens
    filled[len(tokens) :] = 0
    return filled
