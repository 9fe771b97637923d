"""What a user would otherwise take: cross-encoders of `sentence-transformers` on the same encoder."""

from __future__ import annotations

import importlib.util
import logging
import platform
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import BertConfig, BertForSequenceClassification

from benchmarks.encoders import Subject
from service.engine.backends.product_probes import onnx_int8

PEER = "CrossEncoder"
BATCH_SIZE = 32
"""The library's default."""

ScoreTexts = Callable[[Sequence[tuple[str, str]]], object]


def write_cross_encoder(subject: Subject, folder: Path) -> Path:
    """The plain encoder with a classification head of random weights, as `sentence-transformers` loads it."""
    configuration = BertConfig(**{**subject.encoder.config.to_dict(), "num_labels": 1})
    torch.manual_seed(0)
    model = BertForSequenceClassification(configuration)
    model.bert.embeddings.load_state_dict(subject.encoder.embeddings.state_dict())
    model.bert.encoder.load_state_dict(subject.encoder.encoder.state_dict())
    model.save_pretrained(folder)
    subject.tokenizer.save_pretrained(folder)
    return folder


def cross_encoders(folder: Path) -> dict[str, ScoreTexts]:
    """`CrossEncoder` in torch (float32, bf16), ONNX and its int8, by name; none where it is not installed."""
    if importlib.util.find_spec("sentence_transformers") is None:
        return {}
    from sentence_transformers import CrossEncoder

    # Each of five loadings says the same about a tokenizer of another model.
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch_float32 = CrossEncoder(str(folder), device="cpu", max_length=128)
        torch_bf16 = CrossEncoder(
            str(folder), device="cpu", max_length=128, model_kwargs={"torch_dtype": torch.bfloat16}
        )
        onnx = CrossEncoder(
            str(folder),
            device="cpu",
            max_length=128,
            backend="onnx",
            model_kwargs={"provider": "CPUExecutionProvider", "export": True},
        )
        onnx.save_pretrained(str(folder / "onnx-model"))
        quantized = _quantized(onnx, folder)
    logging.disable(logging.NOTSET)
    return {
        f"{PEER} torch float32": _predict(torch_float32),
        f"{PEER} torch bf16": _predict(torch_bf16),
        f"{PEER} ONNX float32": _predict(onnx),
        f"{PEER} ONNX int8": _predict(quantized),
    }


def _quantized(onnx: Any, folder: Path) -> Any:
    from sentence_transformers import CrossEncoder
    from sentence_transformers.backend import export_dynamic_quantized_onnx_model

    kind = _quantization()
    export_dynamic_quantized_onnx_model(onnx, kind, str(folder / "onnx-model"))
    [name] = [path.name for path in (folder / "onnx-model").rglob("model_q*.onnx")]
    return CrossEncoder(
        str(folder / "onnx-model"),
        device="cpu",
        max_length=128,
        backend="onnx",
        model_kwargs={"provider": "CPUExecutionProvider", "file_name": name},
    )


def _quantization() -> str:
    """The one of the peer's quantizations that its documentation gives for this processor."""
    if platform.machine().lower() in ("aarch64", "arm64"):
        return "arm64"
    return "avx512_vnni" if onnx_int8().weight_bits == 8 else "avx2"


def _predict(model: Any) -> ScoreTexts:
    return lambda pairs: model.predict(list(pairs), batch_size=BATCH_SIZE, show_progress_bar=False)
