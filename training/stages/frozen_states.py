"""What the frozen part of the encoder makes of a step's texts, computed once for all epochs of its stages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from model_store.encoding.batch import (
    PRODUCT_SEGMENT,
    QUERY_SEGMENT,
    LayerStates,
    TextBatch,
    TwoTowerBatch,
    length_batches,
)
from model_store.encoding.tokens import PairTokenizer, TokenIds, TokenizedPairs, distinct
from model_store.network.fast_products import FastProducts
from model_store.network.interaction import PairNetwork, Route
from model_store.network.relevance_network import RelevanceNetwork
from training.stages.progress import stage_progress

if TYPE_CHECKING:
    from training.stages.environment import TrainingEnvironment


@dataclass(frozen=True, slots=True)
class PackedTexts:
    """States of texts without padding, one text after another.

    Args:
        starts: (texts) the place of each text's first token.
        feed_forward, attended: (tokens of all texts, hidden).
    """

    layer: int
    starts: np.ndarray
    feed_forward: Tensor
    attended: Tensor

    def put_into(self, batch: TextBatch, texts: Sequence[int]) -> TextBatch:
        """The batch of these texts with their states. What stands at padding is masked wherever it is read."""
        width = batch.mask.shape[1]
        places = np.minimum(
            self.starts[list(texts)][:, None] + np.arange(width)[None, :], len(self.feed_forward) - 1
        )
        index = torch.from_numpy(places).to(self.feed_forward.device)
        return replace(batch, states=LayerStates(self.layer, self.feed_forward[index], self.attended[index]))

    def text_means(
        self,
        network: PairNetwork,
        tokenizer: PairTokenizer,
        texts: list[TokenIds],
        segment: int,
        route: Route,
        token_budget: int,
    ) -> Tensor:
        """Token means (texts, hidden) float32 of all texts, from their states on, encoded in length batches."""
        means = torch.empty(len(texts), network.hidden_size, device=network.device)
        lengths = np.array([len(ids) for ids in texts], dtype=np.int64)
        for rows in length_batches(lengths, token_budget):
            batch = tokenizer.single_texts([texts[row] for row in rows], segment).to(network.device)
            batch = self.put_into(batch, rows.tolist())
            means[torch.from_numpy(rows).to(network.device)] = network.text_means(batch, route).float()
        return means


@dataclass(frozen=True, slots=True)
class FrozenStates:
    """States of all distinct queries and products of tokenized pairs, on the network's device."""

    queries: PackedTexts
    products: PackedTexts

    def put_into(
        self, batch: TwoTowerBatch, tokenized: TokenizedPairs, rows: Sequence[int] | np.ndarray
    ) -> TwoTowerBatch:
        """The batch of the pairs at `rows` with its texts' states."""
        query_ids, _ = distinct(tokenized.query_index, rows)
        product_ids, _ = distinct(tokenized.product_index, rows)
        return replace(
            batch,
            queries=self.queries.put_into(batch.queries, query_ids),
            products=self.products.put_into(batch.products, product_ids),
        )

    def text_means(
        self,
        network: PairNetwork,
        tokenizer: PairTokenizer,
        tokenized: TokenizedPairs,
        route: Route,
        token_budget: int,
    ) -> tuple[Tensor, Tensor]:
        """Token means of all distinct queries, (queries, hidden), and of all distinct products, likewise."""
        return (
            self.queries.text_means(network, tokenizer, tokenized.queries, QUERY_SEGMENT, route, token_budget),
            self.products.text_means(
                network, tokenizer, tokenized.products, PRODUCT_SEGMENT, route, token_budget
            ),
        )


def frozen_states(
    environment: TrainingEnvironment[RelevanceNetwork], name: str, *rows: TokenizedPairs, dropout: bool
) -> list[FrozenStates | None]:
    """States of each of the given sets of rows, or None for all where they cannot be used.

    They cannot where query and product meet below the lowest adapter that does anything, where the encoder's
    dropout acts, or where they would take more than the configuration's `frozen_states_megabytes`.

    Args:
        name: of the step, for its progress.
        dropout: whether the encoder's dropout acts.
    """
    network, configuration = environment.network, environment.configuration
    boundary = network.depth - network.pair_encoding.joint_layers
    if network.pair_encoding.kind == "cross" or network.idle_layers >= boundary or dropout:
        return [None for _ in rows]
    texts = sum(len(one.queries) + len(one.products) for one in rows)
    tokens = sum(_length(environment.tokenizer, ids) for one in rows for ids in (*one.queries, *one.products))
    limit = configuration.frozen_states_megabytes * 2**20
    if tokens * network.hidden_size * 2 * torch.float32.itemsize > limit:
        return [None for _ in rows]
    with stage_progress(f"{name} frozen layers", texts, 0, unit="texts") as progress:
        return [
            FrozenStates(
                _packed(environment, one.queries, QUERY_SEGMENT, progress),
                _packed(environment, one.products, PRODUCT_SEGMENT, progress),
            )
            for one in rows
        ]


def _packed(
    environment: TrainingEnvironment[RelevanceNetwork],
    texts: list[TokenIds],
    segment: int,
    progress: stage_progress,
) -> PackedTexts:
    network, tokenizer = environment.network, environment.tokenizer
    lengths = np.array([_length(tokenizer, ids) for ids in texts], dtype=np.int64)
    starts = np.zeros(len(texts), dtype=np.int64)
    feed_forward, attended, layer, end = torch.empty(0), torch.empty(0), 0, 0
    for rows, states, mask in _states(environment, texts, lengths, segment):
        if end == 0:
            layer, shape = states.layer, (int(lengths.sum()), network.hidden_size)
            feed_forward, attended = states.feed_forward.new_empty(shape), states.attended.new_empty(shape)
        starts[rows] = end + np.concatenate([[0], np.cumsum(lengths[rows])[:-1]])
        start, end = end, end + int(lengths[rows].sum())
        feed_forward[start:end], attended[start:end] = states.feed_forward[mask], states.attended[mask]
        progress.advance({}, len(rows))
    return PackedTexts(layer, starts, feed_forward, attended)


def _states(
    environment: TrainingEnvironment[RelevanceNetwork], texts: list[TokenIds], lengths: np.ndarray, segment: int
) -> Iterator[tuple[np.ndarray, LayerStates, Tensor]]:
    network, budget = environment.network, environment.configuration.token_budget
    network.eval()  # every stage says itself what it wants
    for rows in length_batches(lengths, budget):
        batch = environment.tokenizer.single_texts([texts[row] for row in rows], segment).to(network.device)
        with torch.no_grad(), environment.accelerator.autocast(), FastProducts():
            states = network.frozen_states(batch)
        yield rows, states, batch.mask


def _length(tokenizer: PairTokenizer, ids: TokenIds) -> int:
    return len(ids) + tokenizer.single_specials
