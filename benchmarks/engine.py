"""Forward passes of the folded network against the unfolded one, the library's and the plain encoder's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from transformers import BertModel

from benchmarks.encoders import SIZES, VOCABULARY, Size, library_model, random_encoder, random_network
from benchmarks.machine import machine, matrix_rate
from benchmarks.rounds import median_seconds
from model_store.length_batches import length_batches
from model_store.network import RelevanceNetwork
from model_store.pair_batch import TextBatch
from model_store.pair_network import Route
from service.engine.folded_network import FoldedNetwork

_LENGTHS = (24.0, 9.0)
"""Mean and standard deviation of a pair's tokens; drawn with a fixed seed, at least 8 and at most 96."""


def engine_benchmark(
    size_name: str, adapter_counts: Sequence[int], pairs: int, token_budget: int, rounds: int
) -> dict[str, object]:
    """Pairs a second of every candidate for each number of adapters, all on the same batches."""
    size = SIZES[size_name]
    encoder = random_encoder(size)
    batches, tokens = _batches(pairs, token_budget)
    rows = []
    for count in adapter_counts:
        seconds = median_seconds(_candidates(encoder, size, count, batches), rounds, f"{count} adapters")
        rows.append({"adapters": count, **{name: pairs / value for name, value in seconds.items()}})
    rate = matrix_rate(torch.float32)
    plain = max(float(row["plain encoder"]) for row in rows)
    return {
        "benchmark": "engine",
        "size": size_name,
        "pairs": pairs,
        "tokens": tokens,
        "token_budget": token_budget,
        "rounds": rounds,
        "pairs_per_second": rows,
        "matrix_rate_float32": rate,
        "plain_share_of_matrix_rate": plain / pairs * _encoder_operations(size, batches) / rate,
        "machine": machine(),
    }


def _candidates(
    encoder: BertModel, size: Size, count: int, batches: Sequence[TextBatch]
) -> dict[str, Callable[[], object]]:
    network, route = random_network(encoder, size, count)
    return {
        "folded": partial(_ours, FoldedNetwork(network, route), route, batches),
        "unfolded": partial(_ours, network, route, batches),
        "adapters library": partial(_library, library_model(encoder, size, count), batches),
        "plain encoder": partial(_library, encoder, batches),
        "plain encoder, folded code": partial(_ours, FoldedNetwork(network, Route()), Route(), batches),
    }


@torch.inference_mode()
def _ours(network: FoldedNetwork | RelevanceNetwork, route: Route, batches: Sequence[TextBatch]) -> None:
    for batch in batches:
        network.encode_texts(batch, route)


@torch.inference_mode()
def _library(model: BertModel, batches: Sequence[TextBatch]) -> None:
    for batch in batches:
        model(input_ids=batch.token_ids, attention_mask=batch.mask.long(), token_type_ids=batch.token_types)


def _batches(pairs: int, token_budget: int) -> tuple[list[TextBatch], int]:
    generator = np.random.default_rng(0)
    lengths = np.clip(generator.normal(*_LENGTHS, pairs).round().astype(np.int64), 8, 96)
    batches = []
    for rows in length_batches(lengths, token_budget):
        width = int(lengths[rows].max())
        mask = torch.from_numpy(np.arange(width)[None, :] < lengths[rows][:, None])
        ids = torch.from_numpy(generator.integers(1, VOCABULARY, (len(rows), width))) * mask
        padded = not bool(mask.all())
        batches.append(TextBatch(ids, torch.zeros_like(ids), mask, mask.long(), padded))
    return batches, int(lengths.sum())


def _encoder_operations(size: Size, batches: Sequence[TextBatch]) -> float:
    """Floating point operations of the plain encoder's matrix products, padding left out."""
    total = 0.0
    for batch in batches:
        lengths = batch.mask.sum(1).double()
        dense = 24.0 * size.hidden**2 * float(lengths.sum())
        attention = 4.0 * size.hidden * float((lengths * lengths).sum())
        total += size.layers * (dense + attention)
    return total
