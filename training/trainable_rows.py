"""An embedding of which only the rows that occur in a data set are trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TrainableRows(nn.Module):
    """Trains the rows of an embedding that a data set uses.

    With Adam and no weight decay this is exactly full training: a row without gradient does not move. A
    multilingual vocabulary has a quarter of a million rows of which a marketplace uses a few thousand; moments
    and steps for the rest would be most of the work.

    Args:
        embedding: the whole embedding, frozen meanwhile.
        token_ids: those that occur in the data.
    """

    def __init__(self, embedding: nn.Embedding, token_ids: Tensor) -> None:
        super().__init__()
        self.whole = embedding
        used = torch.unique(token_ids).to(embedding.weight.device)
        self.register_buffer("used", used, persistent=False)
        places = torch.full((embedding.num_embeddings,), -1, dtype=torch.int64, device=used.device)
        places[used] = torch.arange(len(used), device=used.device)
        self.register_buffer("places", places, persistent=False)
        self.rows = nn.Parameter(embedding.weight.detach()[used].clone())

    def forward(self, token_ids: Tensor) -> Tensor:
        """(texts, tokens) ids to (texts, tokens, hidden)."""
        places: Tensor = self.places[token_ids]  # type: ignore[index]
        trained = nn.functional.embedding(places.clamp_min(0), self.rows)
        frozen = nn.functional.embedding(token_ids, self.whole.weight)
        return torch.where((places >= 0).unsqueeze(-1), trained, frozen)

    def merged(self) -> nn.Embedding:
        """The whole embedding with the trained rows in it."""
        with torch.no_grad():
            self.whole.weight[self.used] = self.rows  # type: ignore[index]
        return self.whole
