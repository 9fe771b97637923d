"""Labelled pairs as tokens, with the states of frozen layers: computed once, batched many times.

Batches are seeded and independent of what ran before. `zero_shot_cosine` is the baseline that training must beat.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from model_store.encoding.batch import PairBatch, length_batches
from model_store.encoding.tokens import PairTokenizer, TokenizedPairs
from model_store.network.fast_products import FastProducts
from model_store.network.interaction import PairNetwork, Route
from model_store.network.relevance_network import RelevanceNetwork
from model_store.network.scoring import (
    DEFAULT_TOKEN_BUDGET,
    cosine_of_encoded,
    logits_of_encoded,
    score_tokenized,
    untrained_cosine,
)
from training.data.pairs import RelevancePair
from training.stages.environment import TrainingEnvironment
from training.stages.frozen_states import FrozenStates, frozen_states


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one data set that make one optimiser step."""

    data_set: str
    rows: np.ndarray


def epoch_batches(sizes: dict[str, int], batch_size: int, seed: int, epoch: int) -> list[Batch]:
    """Shuffle every data set, cut it into batches, and shuffle the batches of all together.

    A batch comes from one data set. The order depends on the seed and the epoch alone, so that an
    interrupted epoch can be gone on with.
    """
    generator = np.random.default_rng([seed, epoch])
    batches = [
        Batch(name, rows)
        for name, size in sizes.items()
        for rows in _cut(generator.permutation(size), batch_size)
    ]
    return [batches[place] for place in generator.permutation(len(batches))]


def _cut(rows: np.ndarray, batch_size: int) -> list[np.ndarray]:
    return np.array_split(rows, max(1, round(len(rows) / batch_size))) if len(rows) else []


def micro_batches(rows: np.ndarray, lengths: np.ndarray, token_budget: int) -> list[np.ndarray]:
    """Cut a batch's rows by the token budget, rows of similar length together."""
    return [rows[places] for places in length_batches(lengths[rows], token_budget)]


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


def zero_shot_cosine(network: RelevanceNetwork, tokenizer: PairTokenizer, data: LabelledTokens) -> np.ndarray:
    """(N) cosine of the mean-pooled query and product, each encoded on its own without any adapter.

    From the texts' states where there are any.
    """
    if data.states is None:
        return untrained_cosine(network, tokenizer, data.tokenized)
    was_training = network.training
    network.eval()
    with torch.inference_mode(), FastProducts():
        means = data.states.text_means(network, tokenizer, data.tokenized, Route(), DEFAULT_TOKEN_BUDGET)
        cosine = cosine_of_encoded(data.tokenized, *means)
    network.train(was_training)
    return cosine
