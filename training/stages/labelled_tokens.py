"""Labelled pairs as tokens, with the states of frozen layers: computed once, batched many times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from model_store.encoding.batch import PairBatch
from model_store.encoding.tokens import PairTokenizer, TokenizedPairs
from model_store.network.interaction import PairNetwork, Route
from model_store.network.relevance_network import RelevanceNetwork
from model_store.network.scoring import logits_of_encoded, score_tokenized
from training.data.pairs import RelevancePair
from training.stages.batches import micro_batches
from training.stages.environment import TrainingEnvironment
from training.stages.frozen_states import FrozenStates, frozen_states


@dataclass(frozen=True, slots=True, weakref_slot=True)
class LabelledTokens:
    """N labelled pairs of one marketplace, tokenized."""

    tokenized: TokenizedPairs
    labels: np.ndarray  # (N) float32, 0 or 1
    lengths: np.ndarray  # (N) int64
    states: FrozenStates | None = None
    """What the frozen layers make of the texts, where a stage has that computed once for all its epochs."""

    @classmethod
    def of(cls, pairs: Sequence[RelevancePair], tokenizer: PairTokenizer) -> LabelledTokens:
        """Tokenize every distinct text of the pairs once."""
        tokenized = tokenizer.tokenize([pair.unlabelled() for pair in pairs])
        labels = np.array([pair.label for pair in pairs], dtype=np.float32)
        return cls(tokenized, labels, tokenized.lengths())

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.labels)

    def token_ids(self, tokenizer: PairTokenizer) -> Tensor:
        """Every token id that occurs in the rows, special ones included, in no order and with repeats."""
        rows = [row for rows in (self.tokenized.queries, self.tokenized.products) for row in rows]
        return torch.tensor([*tokenizer.special_ids, *(token for row in rows for token in row)])

    def micro_batches(
        self,
        rows: np.ndarray,
        tokenizer: PairTokenizer,
        head: int,
        token_budget: int,
        device: torch.device,
    ) -> Iterator[tuple[PairBatch, Tensor]]:
        """Token batches and labels (pairs) of the given rows, cut by the token budget."""
        for part in micro_batches(rows, self.lengths, token_budget):
            yield self._batch(part, tokenizer, head, device), torch.from_numpy(self.labels[part]).to(device)

    def _batch(self, rows: np.ndarray, tokenizer: PairTokenizer, head: int, device: torch.device) -> PairBatch:
        heads = [head] * len(rows)
        if self.states is None:
            return tokenizer.batch(self.tokenized, rows, heads).to(device)
        towers = tokenizer.two_tower_batch(self.tokenized, rows, heads).to(device)
        return self.states.put_into(towers, self.tokenized, rows)

    def logits(
        self, network: PairNetwork, tokenizer: PairTokenizer, route: Route, head: int, token_budget: int
    ) -> np.ndarray:
        """(N) float32 logits of all pairs, from the texts' states where there are any."""
        heads = np.full(len(self), head, dtype=np.int64)
        if self.states is None:
            return score_tokenized(network, tokenizer, self.tokenized, route, heads, token_budget=token_budget)
        was_training = network.training
        network.eval()
        try:
            with torch.inference_mode():
                if network.pair_encoding.kind == "two_tower":
                    means = self.states.text_means(network, tokenizer, self.tokenized, route, token_budget)
                    return logits_of_encoded(network, self.tokenized, *means, heads)
                return self._pairwise_logits(network, tokenizer, route, head, token_budget)
        finally:
            network.train(was_training)

    def _pairwise_logits(
        self, network: PairNetwork, tokenizer: PairTokenizer, route: Route, head: int, token_budget: int
    ) -> np.ndarray:
        logits = np.empty(len(self), dtype=np.float32)
        rows = np.arange(len(self))
        batches = self.micro_batches(rows, tokenizer, head, token_budget, network.device)
        for part, (tokens, _) in zip(micro_batches(rows, self.lengths, token_budget), batches, strict=True):
            logits[part] = network(tokens, route).float().cpu().numpy()
        return logits


@dataclass(frozen=True, slots=True)
class MarketplaceRows:
    """The labelled rows of the one marketplace that a method may see now.

    Args:
        translated: training rows translated into older marketplaces' languages, by older marketplace; empty
            for methods that use no translation.
    """

    marketplace: str
    train: LabelledTokens
    validation: LabelledTokens
    translated: Mapping[str, LabelledTokens] = field(default_factory=dict)


def frozen_rows(
    environment: TrainingEnvironment[RelevanceNetwork], step: str, *rows: LabelledTokens, dropout: bool
) -> list[LabelledTokens]:
    """The same rows, their states computed once where that is possible (see `frozen_states`).

    They hold as long as nothing below the adapters is trained. Rows that have states keep them.

    Args:
        dropout: whether a stage that reads them lets the encoder's dropout act.
    """
    without = [data for data in rows if data.states is None]
    states = iter(frozen_states(environment, step, *(data.tokenized for data in without), dropout=dropout))
    return [data if data.states is not None else replace(data, states=next(states)) for data in rows]
