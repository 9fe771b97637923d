"""One fusion step, forward and backward: our fusion module against the library's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.encoders import FUSION, Size, library_model, name_of, network_of, sampled_pairs, subject_of
from benchmarks.machine import machine, median_seconds
from model_store.encoding.batch import TextBatch
from model_store.encoding.configuration import PairEncoding
from model_store.encoding.tokens import PairTokenizer
from training.data.sources import DataSource


def training_benchmark(
    size: Size, adapter_counts: Sequence[int], pairs: int, rounds: int, data: DataSource
) -> dict[str, Any]:
    """Seconds and bytes kept for the backward pass of a step on `pairs` pairs, in float32."""
    texts = sampled_pairs(data, pairs)
    subject = subject_of(size, texts)
    tokenizer = PairTokenizer(subject.tokenizer, PairEncoding(interaction="cross"))
    tokenized = tokenizer.tokenize(texts)
    batch = tokenizer.joint_texts([tokenized.texts(row) for row in range(len(texts))])
    rows = []
    for count in adapter_counts:
        steps = {
            "ours": _own_step(subject, count, batch),
            "adapters library": _library_step(subject, count, batch),
        }
        kept = {name: _bytes_kept(step) for name, step in steps.items()}
        seconds = median_seconds(steps, rounds, f"{count} adapters")
        rows.append(
            {
                "adapters": count,
                **{f"{name} seconds": value for name, value in seconds.items()},
                "time ratio": seconds["ours"] / seconds["adapters library"],
                **{f"{name} MB kept": value / 1e6 for name, value in kept.items()},
                "memory ratio": kept["ours"] / kept["adapters library"],
            }
        )
    return {
        "benchmark": "training",
        "size": size,
        "pairs": pairs,
        "tokens": int(batch.mask.sum()),
        "rounds": rounds,
        "data": name_of(data),
        "rows": rows,
        "machine": machine(),
    }


def _own_step(subject: Any, count: int, batch: TextBatch) -> Callable[[], object]:
    network, route = network_of(subject, count)
    fusion = [parameter for module in network.fusion_modules(FUSION) for parameter in module.parameters()]
    network.train_only(fusion)

    def forward() -> Tensor:
        return network.encode_texts(batch, route)

    return partial(_step, forward, fusion)


def _library_step(subject: Any, count: int, batch: TextBatch) -> Callable[[], object]:
    model = library_model(subject, count)
    model.requires_grad_(False)
    fusion = [parameter for name, parameter in model.named_parameters() if "adapter_fusion_layer" in name]
    for parameter in fusion:
        parameter.requires_grad_(True)

    def forward() -> Tensor:
        output: Tensor = model(
            input_ids=batch.token_ids, attention_mask=batch.mask.long(), token_type_ids=batch.token_types
        ).last_hidden_state
        return output

    return partial(_step, forward, fusion)


def _step(forward: Callable[[], Tensor], parameters: Sequence[nn.Parameter]) -> None:
    for parameter in parameters:
        parameter.grad = None
    forward().square().mean().backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None for parameter in parameters if parameter.requires_grad)


def _bytes_kept(step: Callable[[], object]) -> int:
    """Bytes of distinct tensors, parameters left out, that autograd keeps for the backward pass."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, nn.Parameter) and not tensor.is_leaf:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        step()
    return sum(kept.values())
