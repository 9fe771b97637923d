from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from model_store.errors import StoreError, VersionCorruptError, VersionNotFoundError
from model_store.network.scoring import probabilities, score_tokenized
from model_store.product import Product, QueryProductPair
from model_store.versions.loading import load_version, score_pairs
from model_store.versions.store import ModelStore
from tests.support import REPOSITORY
from tests.support.tiny_model import (
    build_tiny_store,
    publish_tiny_version,
    random_relevance_network,
    tiny_draft,
)

PAIRS = [
    QueryProductPair("us", "red shoe", Product("1", "big red shoe")),
    QueryProductPair("es", "luz", Product("2", "zapato rojo")),
    QueryProductPair("us", "red shoe", Product("3", "lamp")),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return build_tiny_store(tmp_path)


def test_a_loaded_version_scores_as_the_network_that_was_published(root: Path) -> None:
    loaded = load_version(root)
    network = random_relevance_network(root.parent / "encoder", ("us", "es"))
    expected = score_tokenized(
        network, loaded.tokenizer, loaded.tokenizer.tokenize(PAIRS), loaded.route, np.zeros(3, dtype=int)
    )
    np.testing.assert_allclose(score_pairs(loaded, PAIRS), probabilities(expected), atol=1e-6)


@pytest.mark.parametrize("interaction", ["cross", "two_tower", "late(1)"])
def test_scores_do_not_depend_on_what_else_is_scored(tmp_path: Path, interaction: str) -> None:
    loaded = load_version(build_tiny_store(tmp_path, interaction=interaction))
    together = score_pairs(loaded, PAIRS, token_budget=40)
    alone = [score_pairs(loaded, [pair])[0] for pair in PAIRS]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert len({round(float(score), 5) for score in together}) == 3


def damage(path: Path, change: str) -> None:
    content = bytearray(path.read_bytes())
    if change == "truncated":
        path.write_bytes(content[:-1])
    elif change == "flipped":
        content[-1] ^= 1
        path.write_bytes(content)
    elif change == "missing":
        path.unlink()


@pytest.mark.parametrize("change", ["truncated", "flipped", "missing"])
@pytest.mark.parametrize("name", ["adapters/us/adapter.safetensors", "head.safetensors", "manifest.json"])
def test_a_damaged_file_is_named_and_never_loaded(root: Path, change: str, name: str) -> None:
    damage(root / "versions" / "0001" / name, change)
    with pytest.raises(VersionCorruptError, match=name):
        load_version(root)


def test_a_file_that_was_not_published_is_named(root: Path) -> None:
    (root / "versions" / "0001" / "more.json").write_text("{}")
    with pytest.raises(VersionCorruptError, match=r"more.json: is not part of the version"):
        ModelStore(root).verify(1)


def test_a_pickle_cannot_be_published(root: Path) -> None:
    def write(folder: Path) -> None:
        (folder / "weights.bin").write_bytes(b"x")

    with pytest.raises(StoreError, match=r"weights.bin: only .safetensors, .json, .onnx"):
        ModelStore(root).publish(tiny_draft(root.parent / "encoder", ("us",)), write)
    assert ModelStore(root).numbers() == [1]


def test_a_link_out_of_the_version_is_refused(root: Path) -> None:
    (root / "versions" / "0001" / "head.safetensors").unlink()
    (root / "versions" / "0001" / "head.safetensors").symlink_to(root / "latest.json")
    with pytest.raises(VersionCorruptError, match=r"links may not be in a version"):
        ModelStore(root).verify(1)


def test_another_base_encoder_is_noticed(root: Path) -> None:
    path = root.parent / "encoder" / "config.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "layer_norm_eps": 0.1}))
    with pytest.raises(VersionCorruptError, match=r"is not the one the version was trained on"):
        load_version(root)


def test_an_empty_store_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(VersionNotFoundError, match="train one"):
        load_version(tmp_path)


def test_an_unknown_version_lists_those_there_are(root: Path) -> None:
    with pytest.raises(VersionNotFoundError, match=r"no version '7'; it has 1"):
        load_version(root, 7)


def test_a_version_that_loses_too_much_is_kept_and_not_served(root: Path) -> None:
    encoder = root.parent / "encoder"
    published = publish_tiny_version(root, encoder, ("us", "es", "jp"), validation_auc=0.88, parent=1)
    assert not published.decision.promoted
    assert "us 0.9000 -> 0.8800 (-0.0200)" in published.decision.reason
    assert ModelStore(root).latest() == 1
    assert ModelStore(root).numbers() == [1, 2]


def test_a_version_within_the_tolerance_is_served(root: Path) -> None:
    encoder = root.parent / "encoder"
    published = publish_tiny_version(root, encoder, ("us", "es", "jp"), validation_auc=0.895, parent=1)
    assert published.decision.promoted
    assert ModelStore(root).latest() == 2


def test_a_new_beginning_does_not_take_marketplaces_from_those_who_are_served(root: Path) -> None:
    published = publish_tiny_version(root, root.parent / "encoder", ("us",))
    assert "version 1 serves es, which this one lacks" in published.decision.reason
    assert ModelStore(root).latest() == 1


def test_rollback_goes_back_to_what_was_served_before(root: Path) -> None:
    store = ModelStore(root)
    publish_tiny_version(root, root.parent / "encoder", ("us", "es", "jp"), parent=1)
    assert store.latest() == 2
    assert store.rollback() == 1
    assert store.latest() == 1
    with pytest.raises(StoreError, match="no earlier promoted version"):
        store.rollback()
    store.promote(2)
    assert store.latest() == 2


def publish_one(root: Path, seed: int) -> None:
    torch.set_num_threads(1)
    publish_tiny_version(root, root.parent / "encoder", ("us", "es"), seed=seed)


def test_publishers_at_once_get_numbers_of_their_own(root: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=publish_one, args=(root, seed)) for seed in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    store = ModelStore(root)
    assert store.numbers() == [1, 2, 3, 4]
    assert all(store.verify(number) for number in store.numbers())
    assert store.latest() == 4


def test_a_publisher_killed_in_the_middle_leaves_no_half_version(root: Path) -> None:
    program = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from model_store.versions.store import ModelStore\n"
        "from tests.support.tiny_model import tiny_draft\n"
        "def write(folder):\n"
        "    (folder / 'half.safetensors').write_bytes(b'x' * 1000)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        f"draft = tiny_draft(Path({str(root.parent / 'encoder')!r}), ('us',))\n"
        f"ModelStore(Path({str(root)!r})).publish(draft, write)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        check=False,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert killed.returncode == -signal.SIGKILL
    store = ModelStore(root)
    assert store.numbers() == [1]
    assert store.latest() == 1
    publish_tiny_version(root, root.parent / "encoder", ("us", "es"))
    assert store.numbers() == [1, 2]
