from __future__ import annotations

from pathlib import Path

import pytest

from model_store.errors import VersionNotFoundError
from model_store.product import Product, QueryProductPair
from service.engine.scorer import Scorer
from tests.support.service.running import exact_scorer
from tests.support.tiny_model import build_tiny_store


@pytest.fixture(scope="module")
def scorer(tiny_store: Path) -> Scorer:
    return exact_scorer(tiny_store)


def pair(title: str, marketplace: str = "us") -> QueryProductPair:
    return QueryProductPair(marketplace, "usb cable", Product("1", title))


def test_identical_pairs_are_scored_once(tiny_store: Path) -> None:
    encoded: list[int] = []
    scorer = exact_scorer(tiny_store)
    scores = scorer.score([pair("a"), pair("b"), pair("a"), pair("a")], encoded.append)
    assert scores[0] == scores[2] == scores[3] != scores[1]
    assert sum(encoded) == 1 + 2  # a query and two products


def test_nothing_is_highly_relevant_without_a_threshold(scorer: Scorer) -> None:
    assert scorer.is_highly_relevant("us", 0.5)
    assert not scorer.is_highly_relevant("us", 0.4999)
    assert not scorer.is_highly_relevant("jp", 1.0)


def test_no_pairs_have_no_scores(scorer: Scorer) -> None:
    assert scorer.score([]) == []


def test_a_missing_version_is_said(tmp_path: Path) -> None:
    with pytest.raises(VersionNotFoundError):
        exact_scorer(tmp_path)


@pytest.mark.parametrize("interaction", ["cross", "late(1)"])
def test_pairs_that_share_texts_score_as_when_scored_alone(tmp_path: Path, interaction: str) -> None:
    store = build_tiny_store(tmp_path, interaction=interaction)
    together = exact_scorer(store, token_budget=100)
    alone = exact_scorer(store, encoded_text_bytes=0)
    pairs = [
        QueryProductPair("es", f"query {'x ' * query}", Product(str(number), f"title {'y ' * number}"))
        for query in range(4)
        for number in range(6)
    ]
    expected = [alone.score([pair])[0] for pair in pairs]
    assert together.score(pairs) == pytest.approx(expected, abs=1e-4)
    if interaction == "late(1)":
        assert together.encoded_text_figures.entries == 4 + 6


def test_many_pairs_over_few_texts_cost_their_texts(tiny_store: Path) -> None:
    computed: list[int] = []
    scorer = exact_scorer(tiny_store, encoded_text_bytes=0)
    pairs = [
        QueryProductPair("us", f"query {query}", Product(str(number), f"title {number}"))
        for query in range(20)
        for number in range(30)
    ]
    assert len(scorer.score(pairs, computed.append)) == 600
    assert sum(computed) == 50


def test_texts_that_come_again_are_not_encoded_again_and_score_the_same(tiny_store: Path) -> None:
    fresh = exact_scorer(tiny_store, encoded_text_bytes=0)
    kept = exact_scorer(tiny_store)
    pairs = [
        QueryProductPair("us", f"query {query}", Product(str(number), f"title {number}"))
        for query in range(4)
        for number in range(6)
    ]
    kept.score(pairs[:12])
    assert kept.score(pairs) == pytest.approx(fresh.score(pairs), abs=1e-4)
    assert kept.encoded_text_figures.misses == 4 + 6
    assert kept.encoded_text_figures.hits == 2 + 6
    assert fresh.encoded_text_figures.entries == 0
