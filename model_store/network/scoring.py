"""Scores of many pairs in length batches; with two towers every distinct text is encoded once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from model_store.encoding.batch import PRODUCT_SEGMENT, QUERY_SEGMENT, length_batches
from model_store.encoding.tokens import PairTokenizer, TokenIds, TokenizedPairs
from model_store.network.fast_products import FastProducts
from model_store.network.head import similarity_features
from model_store.network.interaction import PairNetwork, Route

if TYPE_CHECKING:
    from model_store.network.relevance_network import RelevanceNetwork

DEFAULT_TOKEN_BUDGET = 2048
_HEAD_BATCH = 8192

Progress = Callable[[int], None]


def score_tokenized(
    network: PairNetwork,
    tokenizer: PairTokenizer,
    tokenized: TokenizedPairs,
    route: Route,
    head_index: Sequence[int] | np.ndarray,
    *,
    token_budget: int = DEFAULT_TOKEN_BUDGET,
    progress: Progress | None = None,
) -> np.ndarray:
    """Logits of tokenized pairs.

    Args:
        head_index: (N) number of the head that scores each pair, in the order of `network.heads.names`.
        progress: called with the number of pairs (or texts, with two towers) done since the last call.

    Returns:
        (N) float32 logits in the order of the pairs.
    """
    if len(tokenized) == 0:
        return np.zeros(0, dtype=np.float32)
    heads = np.asarray(head_index, dtype=np.int64)
    was_training = network.training
    network.eval()
    try:
        with torch.inference_mode(), FastProducts():
            if network.pair_encoding.kind == "two_tower":
                return _two_tower_logits(network, tokenizer, tokenized, route, heads, token_budget, progress)
            return _pairwise_logits(network, tokenizer, tokenized, route, heads, token_budget, progress)
    finally:
        network.train(was_training)


def _pairwise_logits(
    network: PairNetwork,
    tokenizer: PairTokenizer,
    tokenized: TokenizedPairs,
    route: Route,
    heads: np.ndarray,
    token_budget: int,
    progress: Progress | None,
) -> np.ndarray:
    logits = np.empty(len(tokenized), dtype=np.float32)
    for rows in length_batches(tokenized.lengths(), token_budget):
        batch = tokenizer.batch(tokenized, rows, heads[rows].tolist()).to(network.device)
        logits[rows] = network(batch, route).float().cpu().numpy()
        if progress:
            progress(len(rows))
    return logits


def _two_tower_logits(
    network: PairNetwork,
    tokenizer: PairTokenizer,
    tokenized: TokenizedPairs,
    route: Route,
    heads: np.ndarray,
    token_budget: int,
    progress: Progress | None,
) -> np.ndarray:
    def means(texts: list[TokenIds], segment: int) -> Tensor:
        return encoded_texts(network, tokenizer, texts, segment, route, token_budget, progress)

    queries, products = means(tokenized.queries, QUERY_SEGMENT), means(tokenized.products, PRODUCT_SEGMENT)
    return logits_of_encoded(network, tokenized, queries, products, heads)


def logits_of_encoded(
    network: PairNetwork, tokenized: TokenizedPairs, queries: Tensor, products: Tensor, heads: np.ndarray
) -> np.ndarray:
    """Logits of pairs whose texts are encoded: all that two towers cost per pair.

    Args:
        queries: (distinct queries, hidden) token means, in the order of `tokenized.queries`; `products` likewise.
        heads: (N) number of the head that scores each pair.

    Returns:
        (N) float32 logits in the order of the pairs.
    """
    logits = np.empty(len(tokenized), dtype=np.float32)
    for start in range(0, len(tokenized), _HEAD_BATCH):
        rows = slice(start, start + _HEAD_BATCH)
        features = similarity_features(
            queries[torch.from_numpy(tokenized.query_index[rows]).to(queries.device)],
            products[torch.from_numpy(tokenized.product_index[rows]).to(products.device)],
        )
        index = torch.from_numpy(heads[rows]).to(features.device)
        logits[rows] = network.heads(features, index).float().cpu().numpy()
    return logits


def encoded_texts(
    network: PairNetwork,
    tokenizer: PairTokenizer,
    texts: list[TokenIds],
    segment: int,
    route: Route,
    token_budget: int = DEFAULT_TOKEN_BUDGET,
    progress: Progress | None = None,
) -> Tensor:
    """Token means (texts, hidden) of distinct texts, encoded in length batches."""
    means = torch.empty(len(texts), network.hidden_size, device=network.device)
    lengths = np.array([len(ids) for ids in texts], dtype=np.int64)
    for rows in length_batches(lengths, token_budget):
        batch = tokenizer.single_texts([texts[row] for row in rows], segment).to(network.device)
        means[torch.from_numpy(rows).to(network.device)] = network.text_means(batch, route).float()
        if progress:
            progress(len(rows))
    return means


def untrained_cosine(
    network: RelevanceNetwork, tokenizer: PairTokenizer, tokenized: TokenizedPairs
) -> np.ndarray:
    """(N) cosine of the mean-pooled query and product, each encoded on its own without any adapter."""
    was_training = network.training
    network.eval()
    try:
        with torch.inference_mode(), FastProducts():
            queries = encoded_texts(network, tokenizer, tokenized.queries, QUERY_SEGMENT, Route())
            products = encoded_texts(network, tokenizer, tokenized.products, PRODUCT_SEGMENT, Route())
            return cosine_of_encoded(tokenized, queries, products)
    finally:
        network.train(was_training)


def cosine_of_encoded(tokenized: TokenizedPairs, queries: Tensor, products: Tensor) -> np.ndarray:
    """(N) float32 cosine of pairs whose texts are encoded; the tensors are as in `logits_of_encoded`."""
    queries = torch.nn.functional.normalize(queries, dim=-1).cpu()
    products = torch.nn.functional.normalize(products, dim=-1).cpu()
    cosine = (queries[tokenized.query_index] * products[tokenized.product_index]).sum(-1)
    result: np.ndarray = cosine.numpy()
    return result


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Logits to relevance scores in [0, 1], float32, without overflow."""
    scores: np.ndarray = 0.5 * (1.0 + np.tanh(0.5 * logits.astype(np.float32)))
    return scores
