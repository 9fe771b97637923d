from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from model_store.errors import ConfigurationError, InputError
from tests.support.training.tiny_marian import CountingTranslator
from training.data.pairs import RelevancePair
from training.translation import sample_for_translation, translate_pairs


def pair(number: int, label: int = 1, query: str = "red dress") -> RelevancePair:
    return RelevancePair("us", query, f"p{number}", f"dress {number}", label, product_brand="Acme")


def pairs_with_labels(relevant: int, irrelevant: int) -> list[RelevancePair]:
    return [pair(number, label=int(number < relevant)) for number in range(relevant + irrelevant)]


def test_every_text_but_the_brand_is_translated_and_the_judgement_stays() -> None:
    original = RelevancePair(
        "us", "red dress", "p1", "Dress", 1, "Acme", "red", "long sleeves", "a dress for summer"
    )
    assert translate_pairs([original], CountingTranslator(), "es") == [
        RelevancePair(
            "es",
            "es:RED DRESS",
            "p1",
            "es:DRESS",
            1,
            "Acme",
            "es:RED",
            "es:LONG SLEEVES",
            "es:A DRESS FOR SUMMER",
        )
    ]


def test_empty_fields_stay_empty_and_distinct_texts_are_asked_for_once() -> None:
    translator = CountingTranslator()
    translated = translate_pairs([pair(1), pair(2), pair(1)], translator, "es")
    assert sorted(translator.asked) == ["dress 1", "dress 2", "red dress"]
    assert all(one.product_description == "" for one in translated)
    assert [one.product_id for one in translated] == ["p1", "p2", "p1"]


class Vanishing(CountingTranslator):
    def translate(self, texts: Sequence[str]) -> list[str]:
        return ["" for _ in texts]


def test_a_text_whose_translation_is_blank_stays_as_it_was() -> None:
    translated = translate_pairs([pair(1, query="dress")], Vanishing(), "es")
    assert translated[0].query == "dress"
    assert translated[0].product_title == "dress 1"


def test_a_wrong_marketplace_name_is_refused() -> None:
    with pytest.raises(InputError, match="no marketplace name"):
        translate_pairs([pair(1)], CountingTranslator(), "E S")


def test_no_pairs_give_no_pairs() -> None:
    assert translate_pairs([], CountingTranslator(), "es") == []
    assert sample_for_translation([]) == []


def test_thirty_percent_of_each_label_is_drawn() -> None:
    sample = sample_for_translation(pairs_with_labels(80, 20))
    assert Counter(one.label for one in sample) == {1: 24, 0: 6}


def test_the_same_seed_draws_the_same_rows_and_another_seed_others() -> None:
    pairs = pairs_with_labels(80, 20)
    assert sample_for_translation(pairs, 0.3, 7) == sample_for_translation(pairs, 0.3, 7)
    assert sample_for_translation(pairs, 0.3, 7) != sample_for_translation(pairs, 0.3, 8)


def test_rows_keep_their_order_and_are_drawn_once() -> None:
    sample = sample_for_translation(pairs_with_labels(50, 50), 0.5, 1)
    numbers = [int(one.product_id[1:]) for one in sample]
    assert numbers == sorted(set(numbers))


def test_a_rare_label_gives_at_least_one_row_and_the_whole_share_gives_all() -> None:
    pairs = pairs_with_labels(100, 1)
    assert any(one.label == 0 for one in sample_for_translation(pairs, 0.1))
    assert sample_for_translation(pairs, 1.0) == pairs


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01, float("nan")])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(ConfigurationError, match="above 0 and at most 1"):
        sample_for_translation([pair(1)], share)
