from __future__ import annotations

import hashlib
import json
import logging
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model_store.errors import ConfigurationError, VersionNotFoundError
from model_store.manifest import EvaluationSet
from model_store.pair_network import Route
from model_store.product import Product, QueryProductPair
from model_store.store import ModelStore
from model_store.version_files import write_network
from service.engine import engine_choice, scorer_loading
from service.engine.engine_options import EngineOptions
from service.engine.folded_network import FoldedNetwork
from service.engine.int8_products import int8_is_exact
from service.engine.scorer_loading import load_scorer
from tests.service.running import exact_scorer
from tests.tiny_model import build_tiny_store, random_relevance_network, tiny_draft

NAMES = ("us", "es")
INT8 = EngineOptions("cpu", "onnxruntime", "int8", 512)
FLOAT32 = EngineOptions("cpu", "onnxruntime", "float32", 512)


def pairs(count: int = 400) -> list[QueryProductPair]:
    generator = np.random.default_rng(0)
    words = ["usb", "cable", "sofa", "red", "tea", "4k", "tv", "hdmi", "lamp", "desk"]
    return [
        QueryProductPair(
            NAMES[number % 2],
            " ".join(generator.choice(words, 2)),
            Product(str(number), " ".join(generator.choice(words, 6))),
        )
        for number in range(count)
    ]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version with validation rows that its scores separate, but for every seventh."""
    folder = tmp_path_factory.mktemp("engines")
    root = build_tiny_store(folder, NAMES)
    scores = exact_scorer(root).score(pairs())
    evaluation = {}
    for name in NAMES:
        own = [(pair, score) for pair, score in zip(pairs(), scores, strict=True) if pair.marketplace == name]
        middle = float(np.median([score for _, score in own]))
        lines = [
            json.dumps(
                {
                    "marketplace": name,
                    "query": pair.query,
                    "product_id": pair.product.id,
                    "product_title": pair.product.title,
                    "label": int((score > middle) != (place % 7 == 0)),
                    **dict.fromkeys(
                        ["product_brand", "product_color", "product_bullet_points", "product_description"], ""
                    ),
                }
            )
            for place, (pair, score) in enumerate(own)
        ]
        path = root / "runs" / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        rows = EvaluationSet(path=f"runs/{name}.jsonl", rows=len(lines), sha256=digest)
        evaluation[name] = {"validation": rows}
    network = random_relevance_network(folder / "encoder", NAMES)
    draft = tiny_draft(folder / "encoder", NAMES).model_copy(update={"evaluation": evaluation, "parent": 1})
    ModelStore(root).publish(draft, lambda target: write_network(network, Route(NAMES, "step-fused"), target))
    return root


@pytest.mark.parametrize(("options", "tolerance"), [(FLOAT32, 1e-5), (INT8, 0.05)])
def test_a_form_is_made_once_and_kept(store: Path, options: EngineOptions, tolerance: float) -> None:
    first = load_scorer(store, options=options)
    assert first.choice.name == f"onnxruntime-{options.precision}"
    assert first.score(pairs()) == pytest.approx(exact_scorer(store).score(pairs()), abs=tolerance)
    folder = store / "engines" / "0002" / first.choice.name
    kept = folder / "layers-0-2.onnx"
    written = kept.stat().st_mtime_ns
    again = load_scorer(store, options=options)
    assert kept.stat().st_mtime_ns == written
    assert again.score(pairs()) == first.score(pairs())


@pytest.fixture(autouse=True)
def plain_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same choices on every machine."""
    monkeypatch.setattr(engine_choice, "bf16_is_faster", lambda: False)
    monkeypatch.setattr(engine_choice, "int8_is_faster", lambda: False)


def test_auto_is_int8_where_it_ranks_as_well(store: Path) -> None:
    scorer = load_scorer(store, options=EngineOptions("cpu", token_budget=512))
    assert scorer.choice.name == "onnxruntime-int8"
    record = json.loads((store / "engines" / "0002" / "onnxruntime-int8" / "engine.json").read_text())
    assert record["check"]["accepted"]
    for exact, faster in record["check"]["auc"].values():
        assert 0.6 < exact < 1.0
        assert abs(exact - faster) <= 0.003


def test_int8_that_ranks_worse_is_refused_and_the_refusal_kept(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    copy = tmp_path / "store"
    shutil.copytree(store, copy, ignore=shutil.ignore_patterns("engines"))
    monkeypatch.setattr(scorer_loading, "AUC_TOLERANCE", -1.0)
    monkeypatch.setattr("service.engine.quality.AUC_TOLERANCE", -1.0)
    with caplog.at_level(logging.INFO):
        scorer = load_scorer(copy, options=EngineOptions("cpu", token_budget=512))
    assert scorer.choice.name == "torch-float32"
    assert "not served by onnxruntime-int8: validation ROC-AUC by marketplace" in caplog.text
    monkeypatch.undo()
    with pytest.raises(
        ConfigurationError, match=r"onnxruntime-int8: .*us 0\.\d{4} -> .*set PRECISION to float32"
    ):
        load_scorer(copy, options=INT8)


def test_without_validation_rows_int8_cannot_be_checked(tiny_store: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be checked: version 1 names no validation rows of us"):
        load_scorer(tiny_store, options=INT8)


def test_a_kept_graph_that_was_changed_is_made_anew(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    expected = load_scorer(store, options=FLOAT32).score(pairs())
    graph = store / "engines" / "0002" / "onnxruntime-float32" / "layers-0-2.onnx"
    content = graph.read_bytes()
    graph.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert load_scorer(store, options=FLOAT32).score(pairs()) == expected
    assert "was changed; it is made anew" in caplog.text
    assert graph.read_bytes() == content


def test_torch_in_bf16_is_checked_the_same_way(store: Path) -> None:
    scorer = load_scorer(store, options=EngineOptions("cpu", "torch", "bf16", 512))
    assert scorer.choice.name == "torch-bf16"
    assert scorer.score(pairs()) == pytest.approx(exact_scorer(store).score(pairs()), abs=0.05)
    record = json.loads((store / "engines" / "0002" / "torch-bf16" / "engine.json").read_text())
    assert record["check"]["accepted"]
    assert record["files"] == {}


@pytest.mark.skipif(not int8_is_exact(), reason="this processor has no exact int8 products")
def test_torch_in_int8_keeps_the_ranges_that_it_found(store: Path) -> None:
    options = EngineOptions("cpu", "torch", "int8", 512)
    scorer = load_scorer(store, options=options)
    assert scorer.choice.name == "torch-int8"
    assert scorer.score(pairs()) == pytest.approx(exact_scorer(store).score(pairs()), abs=0.05)
    kept = store / "engines" / "0002" / "torch-int8" / "input-ranges.safetensors"
    written = kept.stat().st_mtime_ns
    again = load_scorer(store, options=options)
    assert kept.stat().st_mtime_ns == written
    assert again.score(pairs()) == scorer.score(pairs())
    few = pairs()[7:8]
    assert again.score(few) == pytest.approx(scorer.score(pairs())[7:8], abs=2e-3)


def test_loading_leaves_no_computing_thread_behind(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A second OpenMP team in the process halved the rate of the thread that scores.
    copy = tmp_path / "store"
    shutil.copytree(store, copy, ignore=shutil.ignore_patterns("engines"))
    used = []
    original = FoldedNetwork.run_layers

    def noted(*args: Any, **kwargs: Any) -> torch.Tensor:
        used.append(threading.current_thread())
        return original(*args, **kwargs)

    monkeypatch.setattr(FoldedNetwork, "run_layers", noted)
    load_scorer(copy, options=EngineOptions("cpu", "torch", "bf16", 512))
    assert used
    assert not any(thread.is_alive() for thread in used)


def test_a_missing_version_is_said(tmp_path: Path) -> None:
    with pytest.raises(VersionNotFoundError):
        load_scorer(tmp_path)
