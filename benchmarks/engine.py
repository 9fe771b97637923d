"""Forward passes on the same batches: folded in every form, unfolded, the library's, the plain encoder's."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from benchmarks.encoders import Size, Subject, library_model, name_of, network_of, sampled_pairs, subject_of
from benchmarks.loaded import forms_of
from benchmarks.machine import machine, matrix_rates, median_seconds
from model_store.encoding.batch import TextBatch
from model_store.encoding.configuration import PairEncoding
from model_store.encoding.tokens import PairTokenizer
from model_store.network.interaction import PairNetwork, Route
from service.engine.backends.product_probes import bf16_problem
from service.engine.folded.network import FoldedNetwork
from service.engine.interactions.interaction import tight_batches
from training.data.sources import DataSource

FEW_PAIRS = 64
"""Pairs of a call from 16 adapters on, where the library takes a minute for 256."""


def engine_benchmark(
    size: Size,
    adapter_counts: Sequence[int],
    pairs: int,
    token_budget: int,
    rounds: int,
    data: DataSource,
    device: torch.device,
    only: str = "",
) -> dict[str, Any]:
    """Pairs a second of every candidate for each number of adapters, all on the same batches.

    Args:
        only: a regular expression that the names of the candidates match.
    """
    texts = sampled_pairs(data, pairs)
    subject = subject_of(size, texts)
    subject.encoder.to(device)
    rows, tokens = [], 0
    for count in adapter_counts:
        few = texts if count < 16 else texts[:FEW_PAIRS]
        batches = _batches(subject, few, token_budget, device)
        tokens = max(tokens, sum(int(batch.mask.sum()) for batch in batches))
        candidates = {
            name: call
            for name, call in _candidates(subject, count, batches, device).items()
            if re.search(only, name)
        }
        seconds = median_seconds(candidates, rounds, f"{count} adapters")
        rows.append({"adapters": count, **{name: len(few) / value for name, value in seconds.items()}})
    batches = _batches(subject, texts, token_budget, device)
    rates = matrix_rates(device)
    operations = _encoder_operations(subject, batches)
    return {
        "benchmark": "engine",
        "size": size,
        "pairs": pairs,
        "tokens": tokens,
        "token_budget": token_budget,
        "rounds": rounds,
        "data": name_of(data),
        "pairs_per_second": rows,
        "matrix_rates": rates,
        "shares_of_matrix_rate": _shares(rows, rates, operations / pairs, device),
        "machine": machine(),
    }


def _candidates(
    subject: Subject, count: int, batches: Sequence[TextBatch], device: torch.device
) -> dict[str, Callable[[], object]]:
    network, route = network_of(subject, count)
    network.to(device)
    candidates: dict[str, Callable[[], object]] = {}
    if device.type == "cpu":
        forms = forms_of(network, route, lambda folded: _ours(folded, route, batches))
        candidates |= {
            f"folded {choice.name.replace('-', ' ', 1)}": partial(_ours, form, route, batches)
            for choice, form in forms.items()
        }
    else:
        from service.engine.backends.cuda_graphs import GraphedNetwork

        candidates["folded torch bf16, CUDA graphs"] = partial(
            _ours, GraphedNetwork(network, route), route, batches
        )
        half = copy.deepcopy(library_model(subject, count)).to(device, torch.bfloat16)
        candidates["adapters library bf16"] = partial(_library, half, batches)
        candidates |= {
            "folded torch float32": partial(_ours, FoldedNetwork(network, route).pack(), route, batches),
            "folded torch bf16": partial(_ours, FoldedNetwork(network, route, torch.bfloat16), route, batches),
        }
    plain = {"no adapters, same code": torch.float32}
    if bf16_problem(device.type) is None:
        plain["no adapters, same code, bf16"] = torch.bfloat16
    for name, dtype in plain.items():
        bare = FoldedNetwork(network, Route(), dtype).pack()
        candidates[name] = partial(_ours, bare, Route(), batches)
    candidates |= {
        "unfolded": partial(_ours, network, route, batches),
        "adapters library": partial(_library, library_model(subject, count).to(device), batches),
        "plain encoder (transformers)": partial(_library, subject.encoder, batches),
    }
    return candidates


@torch.inference_mode()
def _ours(network: PairNetwork, route: Route, batches: Sequence[TextBatch]) -> None:
    for batch in batches:
        result = network.encode_texts(batch, route)
    result[0, 0, 0].item()  # a GPU has finished


@torch.inference_mode()
def _library(model: Any, batches: Sequence[TextBatch]) -> None:
    for batch in batches:
        types = torch.zeros_like(batch.token_ids)
        output = model(
            input_ids=batch.token_ids, attention_mask=batch.mask.long(), token_type_ids=types
        ).last_hidden_state
    output[0, 0, 0].item()


def _batches(subject: Subject, pairs: Sequence[Any], token_budget: int, device: torch.device) -> list[TextBatch]:
    tokenizer = PairTokenizer(subject.tokenizer, PairEncoding(interaction="cross"))
    tokenized = tokenizer.tokenize(list(pairs))
    return [
        tokenizer.joint_texts([tokenized.texts(row) for row in rows]).to(device)
        for rows in tight_batches(tokenized.lengths(), token_budget)
    ]


def _encoder_operations(subject: Subject, batches: Sequence[TextBatch]) -> float:
    """Floating point operations of the plain encoder's matrix products, padding left out."""
    hidden, layers = subject.hidden_size, int(subject.encoder.config.num_hidden_layers)
    wide = int(subject.encoder.config.intermediate_size)
    total = 0.0
    for batch in batches:
        lengths = batch.mask.sum(1).double()
        dense = (8.0 * hidden**2 + 4.0 * hidden * wide) * float(lengths.sum())
        total += layers * (dense + 4.0 * hidden * float((lengths * lengths).sum()))
    return total


def _shares(
    rows: Sequence[dict[str, float]],
    rates: dict[str, float],
    operations_per_pair: float,
    device: torch.device,
) -> dict[str, float]:
    """Of the networks without adapters: token operations a second over the measured rate of matrix products."""
    best = {
        name: max(row[name] for row in rows) * operations_per_pair for name in rows[0] if "no adapters" in name
    }
    if device.type == "cuda":
        best = {name: value for name, value in best.items() if "bf16" in name}
    return {
        f"{name} / {rate_name}": value / rate
        for name, value in best.items()
        for rate_name, rate in rates.items()
        if ("bf16" in name) == ("bf16" in rate_name)
    }
