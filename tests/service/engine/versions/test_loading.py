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
from model_store.network.interaction import Route
from model_store.product import Product, QueryProductPair
from model_store.versions.loading import load_version
from model_store.versions.manifest import EvaluationSet
from model_store.versions.store import ModelStore
from model_store.versions.weights import write_network
from service.engine.backends import files as engine_files
from service.engine.backends import rates as form_rates
from service.engine.backends.choice import engine_choices
from service.engine.backends.files import EngineFiles
from service.engine.backends.product_probes import bf16_problem, onnx_int8, torch_int8
from service.engine.backends.rates import FormRate
from service.engine.folded.network import FoldedNetwork
from service.engine.options import EngineOptions
from service.engine.versions import loading as scorer_loading
from service.engine.versions.loading import in_own_thread, load_scorer
from tests.support.service.running import exact_scorer
from tests.support.tiny_model import build_tiny_store, random_relevance_network, tiny_draft

NAMES = ("us", "es")
INT8 = EngineOptions("cpu", "onnxruntime", "int8", 512)
FLOAT32 = EngineOptions("cpu", "onnxruntime", "float32", 512)
AUTO = EngineOptions("cpu", token_budget=512)
FORMS: dict[str, str] = {
    form.precision: form.name for form in engine_choices(EngineOptions("cpu", "onnxruntime"), torch.device("cpu"))
}
"""ONNX Runtime's on this machine, by precision."""

needs_onnx_int8 = pytest.mark.skipif(onnx_int8().problem is not None, reason=str(onnx_int8().problem))
needs_torch_int8 = pytest.mark.skipif(torch_int8().problem is not None, reason=str(torch_int8().problem))
needs_bf16 = pytest.mark.skipif(bf16_problem("cpu") is not None, reason=str(bf16_problem("cpu")))


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


@pytest.fixture(autouse=True)
def undisturbed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else the machine does, rates are kept."""
    monkeypatch.setattr(form_rates, "CALM_SHARE", 0.0)


def fresh(store: Path, folder: Path) -> Path:
    """The store without its engines."""
    return Path(shutil.copytree(store, folder / "store", ignore=shutil.ignore_patterns("engines")))


def prefer(store: Path, *names: str) -> None:
    """Note as measured here that these forms are the fastest, in this order, and all others hopeless."""
    choices = engine_choices(EngineOptions("cpu"), torch.device("cpu"))
    rates = {choice.name: 1.0 for choice in choices} | {name: 1000 / 2**place for place, name in enumerate(names)}
    found = {name: FormRate(alone=rate, batched=rate) for name, rate in rates.items()}
    EngineFiles(store, load_version(store).manifest).write_rates(found)


@pytest.mark.parametrize(
    ("options", "tolerance"), [(FLOAT32, 1e-5), pytest.param(INT8, 0.05, marks=needs_onnx_int8)]
)
def test_a_form_is_made_once_and_kept(store: Path, options: EngineOptions, tolerance: float) -> None:
    first = load_scorer(store, options=options)
    assert first.choice.name == FORMS[options.precision]
    assert first.score(pairs()) == pytest.approx(exact_scorer(store).score(pairs()), abs=tolerance)
    folder = store / "engines" / "0002" / first.choice.name
    kept = folder / "layers-0-2.onnx"
    written = kept.stat().st_mtime_ns
    again = load_scorer(store, options=options)
    assert kept.stat().st_mtime_ns == written
    assert again.score(pairs()) == first.score(pairs())


def test_auto_is_the_fastest_of_all_forms_measured_once_and_kept(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    copy = fresh(store, tmp_path)
    caplog.set_level(logging.INFO)
    scorer = load_scorer(copy, options=AUTO)
    assert caplog.text.count("tokens a second through 2 layers") == 1
    record = json.loads((copy / "engines" / "0002" / "rates.json").read_text())
    [(machine, rates)] = record["machines"].items()
    assert f"torch {torch.__version__}" in machine
    assert set(rates) == {choice.name for choice in engine_choices(AUTO, torch.device("cpu"))}
    assert scorer.choice.name in rates
    load_scorer(copy, options=AUTO)
    load_scorer(copy, options=EngineOptions("cpu", precision="float32", token_budget=512))
    assert caplog.text.count("tokens a second through 2 layers") == 1
    # The store moved to another machine: both measurements are kept.
    monkeypatch.setattr(engine_files, "machine_key", lambda: "another machine")
    load_scorer(copy, options=AUTO)
    assert caplog.text.count("tokens a second through 2 layers") == 2
    kept = json.loads((copy / "engines" / "0002" / "rates.json").read_text())
    assert set(kept["machines"]) == {machine, "another machine"}


def test_rates_measured_beside_other_work_serve_once(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    copy = fresh(store, tmp_path)
    caplog.set_level(logging.INFO)
    # More than there is: as if other work had some of it.
    monkeypatch.setattr(form_rates, "CALM_SHARE", 1e9)
    load_scorer(copy, options=EngineOptions("cpu", precision="float32", token_budget=512))
    assert "of the cores: forms are measured anew at the next start" in caplog.text
    assert not (copy / "engines" / "0002" / "rates.json").exists()


@pytest.mark.parametrize("content", ["", "[]", '{"format": 1, "version": "another", "machines": {}}'])
def test_rates_that_cannot_be_read_are_measured_anew(
    store: Path, tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    copy = fresh(store, tmp_path)
    path = copy / "engines" / "0002" / "rates.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with caplog.at_level(logging.INFO):
        load_scorer(copy, options=EngineOptions("cpu", precision="float32", token_budget=512))
    assert "tokens a second through 2 layers" in caplog.text
    assert json.loads(path.read_text())["machines"]


def test_rates_of_a_store_that_cannot_be_written_are_kept_on_the_machine(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    copy = fresh(store, tmp_path)
    (copy / "engines").touch()
    options = EngineOptions("cpu", precision="float32", token_budget=512)
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("RELEVANCE_CACHE", str(tmp_path / "cache"))
    first = load_scorer(copy, options=options)
    assert load_scorer(copy, options=options).choice == first.choice
    assert caplog.text.count("tokens a second through 2 layers") == 1
    shutil.rmtree(tmp_path / "cache" / "form-rates")
    (tmp_path / "cache" / "form-rates").touch()
    load_scorer(copy, options=options)
    assert "rates.json cannot be written" in caplog.text
    assert "forms are measured anew at the next start" in caplog.text


@needs_onnx_int8
def test_auto_is_int8_where_it_is_faster_and_ranks_as_well(store: Path, tmp_path: Path) -> None:
    copy = fresh(store, tmp_path)
    prefer(copy, FORMS["int8"])
    scorer = load_scorer(copy, options=AUTO)
    assert scorer.choice.name == FORMS["int8"]
    record = json.loads((copy / "engines" / "0002" / FORMS["int8"] / "engine.json").read_text())
    assert record["check"]["accepted"]
    for exact, faster in record["check"]["auc"].values():
        assert 0.6 < exact < 1.0
        assert abs(exact - faster) <= 0.003


def test_auto_is_exact_where_rounding_gains_too_little(
    store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = fresh(store, tmp_path)
    prefer(copy, FORMS["float32"])
    with caplog.at_level(logging.INFO):
        assert load_scorer(copy, options=AUTO).choice.name == FORMS["float32"]
    refused = [choice for choice in engine_choices(AUTO, torch.device("cpu")) if not choice.is_exact]
    for choice in refused:
        assert f"not served by {choice.name}: it is less than 1.5 times as fast as float32 here" in caplog.text


@needs_onnx_int8
def test_int8_that_ranks_worse_is_refused_and_the_refusal_kept(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    copy = fresh(store, tmp_path)
    prefer(copy, FORMS["int8"], "torch-float32")
    monkeypatch.setattr(scorer_loading, "AUC_TOLERANCE", -1.0)
    monkeypatch.setattr("service.engine.versions.quality.AUC_TOLERANCE", -1.0)
    with caplog.at_level(logging.INFO):
        scorer = load_scorer(copy, options=AUTO)
    assert scorer.choice.name == "torch-float32"
    assert f"not served by {FORMS['int8']}: validation ROC-AUC by marketplace" in caplog.text
    monkeypatch.undo()
    with pytest.raises(
        ConfigurationError, match=r"onnxruntime-int8.*: .*us 0\.\d{4} -> .*set PRECISION to float32"
    ):
        load_scorer(copy, options=INT8)


@needs_onnx_int8
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


@needs_bf16
def test_torch_in_bf16_is_checked_the_same_way(store: Path) -> None:
    scorer = load_scorer(store, options=EngineOptions("cpu", "torch", "bf16", 512))
    assert scorer.choice.name == "torch-bf16"
    assert scorer.score(pairs()) == pytest.approx(exact_scorer(store).score(pairs()), abs=0.05)
    record = json.loads((store / "engines" / "0002" / "torch-bf16" / "engine.json").read_text())
    assert record["check"]["accepted"]
    assert record["files"] == {}


@needs_torch_int8
def test_torch_in_int8_keeps_the_ranges_that_it_found(store: Path) -> None:
    options = EngineOptions("cpu", "torch", "int8", 512)
    scorer = load_scorer(store, options=options)
    assert (scorer.choice.backend, scorer.choice.precision) == ("torch", "int8")
    assert scorer.score(pairs()) == pytest.approx(exact_scorer(store).score(pairs()), abs=0.05)
    kept = store / "engines" / "0002" / scorer.choice.name / "input-ranges.safetensors"
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
    copy = fresh(store, tmp_path)
    used = []
    original = FoldedNetwork.run_layers

    def noted(*args: Any, **kwargs: Any) -> torch.Tensor:
        used.append(threading.current_thread())
        return original(*args, **kwargs)

    monkeypatch.setattr(FoldedNetwork, "run_layers", noted)
    load_scorer(copy, options=EngineOptions("cpu", "onnxruntime", "float32", 512))
    assert used
    assert not any(thread.is_alive() for thread in used)


def test_a_form_that_does_not_work_here_is_a_configuration_error(store: Path) -> None:
    options = EngineOptions("cpu", "torch", "bf16", 512)
    if bf16_problem("cpu") is None:
        assert load_scorer(store, options=options).choice.name == "torch-bf16"
        return
    with pytest.raises(ConfigurationError, match=r"no torch bf16 on cpu here \(.*\); there are: .*torch float32"):
        load_scorer(store, options=options)


def test_a_missing_version_is_said(tmp_path: Path) -> None:
    with pytest.raises(VersionNotFoundError):
        load_scorer(tmp_path)


def test_the_thread_has_ended_when_the_result_is_there() -> None:
    thread = in_own_thread(threading.current_thread)
    assert thread is not threading.current_thread()
    assert not thread.is_alive()


def test_an_exception_is_the_callers() -> None:
    def fail() -> None:
        raise LookupError("no such version")

    with pytest.raises(LookupError, match="no such version"):
        in_own_thread(fail)
