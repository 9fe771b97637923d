from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from model_store.versions.loading import load_version
from model_store.versions.manifest import read_evaluation_rows
from model_store.versions.store import ModelStore
from tests.support import REPOSITORY
from tests.support.in_process import run, run_in_process, small_settings, start, write_table
from tests.support.training.learners import toy_pairs
from tests.support.training.real_data import write_tiny_taxonomy
from training.cli import app
from training.data.pairs import RelevancePair

Refused = Callable[..., str]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pairs = [pair for name in ("us", "es", "de") for pair in toy_pairs(name, 160)]
    return write_table(tmp_path_factory.mktemp("data") / "pairs.tsv", pairs)


@pytest.fixture(scope="module")
def glossary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("glossary") / "words.tsv"
    path.write_text("en\tes\tde\nshoe\tzapato\tschuh\nhat\tgorro\thut\nlamp\tluz\tlampe\n", encoding="utf-8")
    return path


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    """What a command that is refused writes to standard error; the exit code must be the expected one."""

    def run_refused(*arguments: str, store: Path, code: int) -> str:
        settings = {"MODEL_STORE": str(store), "COLUMNS": "200"}
        found, output, errors = run_in_process(app, arguments, settings, monkeypatch, capsys)
        assert found == code, f"{found}: {output}{errors}"
        return errors

    return run_refused


def continual(table: Path, glossary: Path, encoder: Path, sequence: str = "us,es") -> list[str]:
    return [
        "continual", "--data", f"table:{table}", "--sequence", sequence, "--translation", f"glossary:{glossary}",
        "--run", "toy", *small_settings(encoder, checkpoint_seconds="0", promotion_tolerance="0.5"),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, table: Path, glossary: Path, tiny_encoder_folder: Path
) -> Path:
    store = tmp_path_factory.mktemp("trained") / "store"
    run("training", *continual(table, glossary, tiny_encoder_folder), store=store)
    return store


def test_a_version_is_published_after_every_step(trained: Path) -> None:
    store = ModelStore(trained)
    assert [store.manifest(number).names for number in store.numbers()] == [["us"], ["us", "es"]]
    manifest = store.manifest(2)
    assert manifest.parent == 1
    assert [set(row) for row in manifest.test_matrix] == [{"us", "es"}, {"us", "es"}]
    assert manifest.marketplace("es").trainable_parameters["fusion"] == 2 * (3 * 32 * 32 + 2 * 32)
    assert manifest.training_configuration["adapter_stage"]["epochs"] == 2  # type: ignore[index,call-overload]
    assert (trained / "translations").is_dir()


def test_every_step_is_asked_the_plain_probes_and_held_against_its_parent(trained: Path) -> None:
    first, second = (ModelStore(trained).manifest(number) for number in (1, 2))
    assert {name: found.language for name, found in second.plain_probes.items()} == {"us": "en", "es": "es"}
    changes = second.promotion.plain_probes
    assert changes["us"].against == "parent"
    assert changes["us"].previous == first.plain_probes["us"].share
    assert changes["es"].against == "untrained"
    assert changes["es"].previous == second.plain_probes["es"].untrained


def test_a_loaded_version_gives_the_scores_it_was_published_with(trained: Path) -> None:
    import numpy as np

    from model_store.product import Product, QueryProductPair
    from model_store.versions.loading import score_pairs

    loaded = load_version(trained, 2)
    probes = loaded.manifest.probe_pairs
    pairs = [QueryProductPair(p.marketplace, p.query, Product(p.product_id, p.product_title)) for p in probes]
    assert len(probes) == 8
    np.testing.assert_allclose(score_pairs(loaded, pairs), [probe.score for probe in probes], atol=1e-5)


def test_a_trained_version_is_folded_exactly(trained: Path) -> None:
    import numpy as np

    from model_store.network.scoring import score_tokenized
    from service.engine.folded.network import FoldedNetwork

    loaded = load_version(trained, 2)
    rows = read_evaluation_rows(trained, loaded.manifest.evaluation["es"]["test"])
    tokenized = loaded.tokenizer.tokenize(rows.pairs)
    heads = np.zeros(len(rows.pairs), dtype=np.int64)
    folded = FoldedNetwork(loaded.network, loaded.route).pack()
    exact = score_tokenized(loaded.network, loaded.tokenizer, tokenized, loaded.route, heads)
    found = score_tokenized(folded, loaded.tokenizer, tokenized, loaded.route, heads)
    assert np.abs(exact).max() > 0.1
    np.testing.assert_allclose(found, exact, atol=1e-4)


def test_the_same_command_again_publishes_nothing_twice(
    trained: Path, table: Path, glossary: Path, tiny_encoder_folder: Path
) -> None:
    run("training", *continual(table, glossary, tiny_encoder_folder), store=trained)
    assert ModelStore(trained).numbers()[:2] == [1, 2]
    assert len([n for n in ModelStore(trained).numbers() if ModelStore(trained).manifest(n).run == "toy"]) == 2


@pytest.mark.parametrize("lines", [pytest.param(2, marks=pytest.mark.long), 4])
def test_killed_and_started_again_it_publishes_the_same_weights(
    trained: Path, table: Path, glossary: Path, tiny_encoder_folder: Path, tmp_path: Path, lines: int
) -> None:
    command = continual(table, glossary, tiny_encoder_folder)
    process = start("training", *command, store=tmp_path)
    assert process.stderr is not None
    for _ in range(lines):
        process.stderr.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    run("training", *command, store=tmp_path)
    expected = {k: v.sha256 for k, v in ModelStore(trained).manifest(2).files.items()}
    assert {k: v.sha256 for k, v in ModelStore(tmp_path).manifest(2).files.items()} == expected


def test_evaluate_prints_json_with_intervals(trained: Path) -> None:
    output, _ = run("training", "evaluate", "--version", "2", "--json", store=trained)
    content = json.loads(output)
    assert content["version"] == 2
    assert set(content["marketplaces"]) == {"us", "es"}
    found = content["marketplaces"]["us"]
    assert found["roc_auc_low"] <= found["roc_auc"] <= found["roc_auc_high"]
    untrained = ModelStore(trained).manifest(2).zero_shot_test["us"]
    assert found["untrained_roc_auc"] == pytest.approx(untrained, abs=0.01)


def test_predict_writes_a_score_for_every_row(trained: Path, table: Path, tmp_path: Path) -> None:
    only_us = tmp_path / "us.tsv"
    lines = table.read_text().splitlines()
    only_us.write_text("\n".join([lines[0], *(line for line in lines if line.startswith("us"))]) + "\n")
    output = tmp_path / "scores.tsv"
    run("training", "predict", str(only_us), "--output", str(output), "--version", "2", store=trained)
    rows = [line.split("\t") for line in output.read_text().splitlines()]
    assert rows[0] == ["row", "marketplace", "query", "product_id", "score"]
    assert [int(row[0]) for row in rows[1:]] == list(range(2, 162))
    assert all(0.0 <= float(row[4]) <= 1.0 for row in rows[1:])


def test_a_marketplace_is_added_without_the_older_training_rows(
    trained: Path, table: Path, glossary: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    shutil.copytree(trained, store)
    shutil.rmtree(store / "runs" / "toy" / "training")
    before = ModelStore(store).manifest(2)
    wider = ("--set", "adapter.bottleneck=12")
    run("training", "add", "--data", f"table:{table}", "--marketplace", "de", *wider, store=store)
    number = max(ModelStore(store).numbers())
    manifest = ModelStore(store).manifest(number)
    network = load_version(store, str(number)).network
    assert [network.adapter_modules(name)[0].bottleneck for name in manifest.names] == [8, 8, 12]
    assert manifest.names == ["us", "es", "de"]
    assert manifest.parent == 2
    assert len(manifest.test_matrix) == 3
    for name, digest in before.files.items():
        if name.startswith("adapters/"):
            assert manifest.files[name] == digest


def test_adding_a_known_marketplace_is_refused(trained: Path, table: Path, refused: Refused) -> None:
    errors = refused("add", "--data", f"table:{table}", "--marketplace", "us", store=trained, code=2)
    assert "knows 'us' already" in errors


def test_sequential_fine_tuning_writes_its_matrix(table: Path, tiny_encoder_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "sequential.json"
    run(
        "training", "sequential", "--data", f"table:{table}", "--sequence", "us,es", "--output", str(output),
        *small_settings(tiny_encoder_folder), store=tmp_path,
    )  # fmt: skip
    content = json.loads(output.read_text())
    assert [set(row) for row in content["test_matrix"]] == [{"us", "es"}, {"us", "es"}]
    assert content["trainable_parameters"] > 10_000


def pairs_of(**changes: str) -> list[RelevancePair]:
    import dataclasses

    pairs = toy_pairs("us", 80)
    return [dataclasses.replace(pairs[0], **changes), *pairs[1:]]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sequence", "translation", "message", "code"),
    [
        ("us,fr", "none", "'fr'", 2),
        ("us,shop", "none", "tells no single language", 3),
        ("us,us", "none", "learnt twice", 3),
        ("us,es", "opus", "'opus' is no translator", 3),
    ],
)
def test_wrong_options_end_before_any_training(
    table: Path,
    tiny_encoder_folder: Path,
    tmp_path: Path,
    refused: Refused,
    sequence: str,
    translation: str,
    message: str,
    code: int,
) -> None:
    errors = refused(
        "continual", "--data", f"table:{table}", "--sequence", sequence, "--translation", translation,
        *small_settings(tiny_encoder_folder), store=tmp_path, code=code,
    )  # fmt: skip
    assert message in errors
    assert "adapter" not in errors
    assert not (tmp_path / "versions").exists()


def test_one_class_only_is_refused_with_the_file_s_name(
    tiny_encoder_folder: Path, tmp_path: Path, refused: Refused
) -> None:
    pairs = [pair for pair in toy_pairs("us", 80) if pair.label == 1]
    path = write_table(tmp_path / "positives.tsv", pairs)
    errors = refused(
        "continual", "--data", f"table:{path}", "--sequence", "us", "--translation", "none",
        *small_settings(tiny_encoder_folder), store=tmp_path / "store", code=2,
    )  # fmt: skip
    assert "positives.tsv" in errors
    assert "needs both" in errors


def test_a_language_dropped_into_a_taxonomy_is_added_without_code(
    tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    folder = write_tiny_taxonomy(tmp_path / "taxonomy")
    late_comer = tmp_path / "tr"
    (folder / "dist" / "pt-BR").rename(late_comer)
    store = tmp_path / "store"
    data = ["--data", f"taxonomy:{folder}:150", "--translation", f"glossary:{folder}"]
    run("training", "continual", *data, "--sequence", "en", *small_settings(tiny_encoder_folder), store=store)
    late_comer.rename(folder / "dist" / "tr")
    run("training", "add", "--data", f"taxonomy:{folder}:150", "--marketplace", "tr", store=store)
    manifest = ModelStore(store).manifest(2)
    assert manifest.names == ["en", "tr"]
    assert manifest.marketplace("tr").language == "tr"
    assert manifest.fusion_name == "step-0002"


@pytest.mark.long
def test_two_processes_train_as_one_and_publish_once(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    command = [
        "continual", "--data", "catalogue:200", "--sequence", "us,es", "--translation", "catalogue",
        *small_settings(tiny_encoder_folder, checkpoint_seconds="0", precision="float32"),
    ]  # fmt: skip
    run("training", *command, store=tmp_path / "one")
    finished = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "training", *command],
        cwd=REPOSITORY,
        env={**os.environ, "MODEL_STORE": str(tmp_path / "two"), "OMP_NUM_THREADS": "1"},
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    one, two = (ModelStore(tmp_path / name) for name in ("one", "two"))
    assert two.numbers() == [1, 2]
    for expected, found in zip(one.manifest(2).test_matrix, two.manifest(2).test_matrix, strict=True):
        assert found == pytest.approx(expected, abs=0.01)
    assert finished.stderr.count("learnt us") == 1
