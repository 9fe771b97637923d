"""Right-padded texts without their padding: what a layer does to single tokens need not be done to padding."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

_WORTH_PACKING = 0.95
"""Share of tokens that are none of padding from which on packing costs more than it saves."""


@dataclass(frozen=True, slots=True)
class TokenPacking:
    """The places of a batch's tokens among its padding.

    Everything but the attention works on tokens one by one, and then on `(1, tokens of all texts, size)` as
    well as on `(texts, tokens, size)`.
    """

    texts: int
    width: int
    places: Tensor  # (tokens of all texts) int64, in the batch laid out row by row

    @classmethod
    def of(cls, mask: Tensor, padded: bool) -> TokenPacking | None:
        """The packing of (texts, tokens) bool, False at padding; None where there is too little padding."""
        if not padded:
            return None
        places = mask.flatten().nonzero().squeeze(1)
        if len(places) > _WORTH_PACKING * mask.numel():
            return None
        return cls(mask.shape[0], mask.shape[1], places)

    def pack(self, padded: Tensor) -> Tensor:
        """(texts, tokens, size) to (1, tokens of all texts, size)."""
        return padded.flatten(0, 1).index_select(0, self.places).unsqueeze(0)

    def unpack(self, packed: Tensor) -> Tensor:
        """(1, tokens of all texts, size) to (texts, tokens, size), zero at padding."""
        padded = packed.new_zeros(self.texts * self.width, packed.shape[-1])
        return padded.index_copy(0, self.places, packed[0]).view(self.texts, self.width, -1)
