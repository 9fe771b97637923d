from __future__ import annotations

from pathlib import Path

import pytest

from model_store.errors import ConfigurationError, VersionNotFoundError
from model_store.product import Product, QueryProductPair
from service.engine.scorer import Scorer, checked_device


@pytest.fixture(scope="module")
def scorer(tiny_store: Path) -> Scorer:
    return Scorer.load(tiny_store, device="cpu")


def pair(title: str, marketplace: str = "us") -> QueryProductPair:
    return QueryProductPair(marketplace, "usb cable", Product("1", title))


def test_identical_pairs_are_scored_once(scorer: Scorer) -> None:
    encoded: list[int] = []
    scores = scorer.score([pair("a"), pair("b"), pair("a"), pair("a")], encoded.append)
    assert scores[0] == scores[2] == scores[3] != scores[1]
    assert sum(encoded) <= sum(_encoded(scorer, [pair("a"), pair("b")]))


def _encoded(scorer: Scorer, pairs: list[QueryProductPair]) -> list[int]:
    encoded: list[int] = []
    scorer.score(pairs, encoded.append)
    return encoded


def test_nothing_is_highly_relevant_without_a_threshold(scorer: Scorer) -> None:
    assert scorer.is_highly_relevant("us", 0.5)
    assert not scorer.is_highly_relevant("us", 0.4999)
    assert not scorer.is_highly_relevant("jp", 1.0)


def test_no_pairs_have_no_scores(scorer: Scorer) -> None:
    assert scorer.score([]) == []


def test_a_missing_version_and_device_are_said(tmp_path: Path) -> None:
    with pytest.raises(VersionNotFoundError):
        Scorer.load(tmp_path, device="cpu")
    with pytest.raises(ConfigurationError, match="there is no cuda:99"):
        checked_device("cuda:99")
