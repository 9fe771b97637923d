from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from model_store.product import Product, QueryProductPair
from model_store.versions.loading import load_version, score_pairs
from model_store.versions.plain_probes import (
    TITLES,
    all_plain_probes,
    plain_probe_shares,
    plain_probes,
    plain_probes_digest,
    share_ranked_right,
    untrained_probe_shares,
)
from tests.support.tiny_model import build_tiny_store

LANGUAGES = ("en", "es", "ja", "de", "fr", "it", "pt")
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
LETTERS = {"es": "áéíóúñü", "de": "äöüßé", "fr": "àâçéèêëîôùûœ", "it": "àèéìòù", "pt": "áâãàçéêíóôõú"}


def test_every_language_has_at_least_forty_queries_of_one_to_five_words() -> None:
    assert set(all_plain_probes()) == set(LANGUAGES)
    for language in LANGUAGES:
        probes = plain_probes(language)
        assert len(probes) >= 40
        assert all(1 <= len(probe.query.split()) <= 5 for probe in probes)
        assert {probe.language for probe in probes} == {language}


def test_no_query_of_a_language_and_no_title_at_all_occurs_twice() -> None:
    titles = [title for language in LANGUAGES for probe in plain_probes(language) for title in probe.titles]
    assert len({title.casefold() for title in titles}) == len(titles)
    for language in LANGUAGES:
        queries = [probe.query.casefold() for probe in plain_probes(language)]
        assert len(set(queries)) == len(queries)


def test_texts_are_clean_and_titles_look_like_titles() -> None:
    for language in LANGUAGES:
        for probe in plain_probes(language):
            for text in (probe.query, *probe.titles):
                assert text == " ".join(text.split())
                assert unicodedata.normalize("NFC", text) == text
            assert all(len(title) >= 5 for title in probe.titles)


def test_each_language_is_written_in_its_own_script_and_with_its_own_letters() -> None:
    for language in LANGUAGES:
        texts = [text for probe in plain_probes(language) for text in (probe.query, *probe.titles)]
        if language == "ja":
            assert all(JAPANESE.search(text) for text in texts if text != "usb")
            continue
        assert not any(JAPANESE.search(text) for text in texts)
        letters = {letter for text in texts for letter in text.casefold() if ord(letter) > 127}
        foreign = letters - set(LETTERS.get(language, "")) - set("²")
        assert foreign == set(), f"{language}: {foreign}"
        own = sum(any(letter in LETTERS.get(language, "") for letter in text.casefold()) for text in texts)
        assert language in ("en", "it") or own > 0.2 * len(texts)


def test_right_is_only_what_scores_strictly_above_all_three_others() -> None:
    assert share_ranked_right([0.9, 0.1, 0.2, 0.3, 0.5, 0.5, 0.1, 0.1, 0.2, 0.1, 0.1, 0.8]) == pytest.approx(
        1 / 3
    )
    assert share_ranked_right([float("nan"), 0.1, 0.2, 0.3]) == 0


def test_the_digest_tells_one_languages_probes_from_anothers() -> None:
    assert len({plain_probes_digest(language) for language in LANGUAGES}) == len(LANGUAGES)
    assert plain_probes("nl") == ()


@pytest.mark.parametrize("interaction", ["two_tower", "cross", "late(1)"])
def test_the_share_is_that_of_the_scores_which_the_version_gives(tmp_path: Path, interaction: str) -> None:
    loaded = load_version(build_tiny_store(tmp_path, interaction=interaction))
    shares = plain_probe_shares(
        loaded.network,
        loaded.tokenizer,
        loaded.route,
        {"us": "shared", "es": "shared"},
        {"us": "en", "es": "es", "nl": "nl"},
    )
    assert list(shares) == ["us", "es"]
    pairs = [
        QueryProductPair("us", probe.query, Product("", title))
        for probe in plain_probes("en")
        for title in probe.titles
    ]
    scores = score_pairs(loaded, pairs).reshape(-1, TITLES)
    assert shares["us"] == pytest.approx(np.mean([row[0] > max(row[1:]) for row in scores]), abs=0.03)


def test_the_untrained_encoder_is_asked_without_any_adapter(tmp_path: Path) -> None:
    loaded = load_version(build_tiny_store(tmp_path))
    before = untrained_probe_shares(loaded.network, loaded.tokenizer, {"us": "en"})
    for parameter in loaded.network.adapters.parameters():
        parameter.data.normal_()
    assert untrained_probe_shares(loaded.network, loaded.tokenizer, {"us": "en"}) == before
