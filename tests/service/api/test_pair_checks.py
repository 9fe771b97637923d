from __future__ import annotations

from pathlib import Path

import pytest

from model_store.errors import InputError
from model_store.product import Product, QueryProductPair
from service.api.pair_checks import MAX_ID_CHARACTERS, checked_known_marketplace, checked_pairs
from service.api.schemas.scores import PairBody, ProductBody
from tests.support.service.running import settings_for

SETTINGS = settings_for(Path("store"), Path("folder"), max_text_characters=10, max_pairs=2)


def checked(product: ProductBody, query: str = "usb") -> QueryProductPair:
    return checked_pairs([PairBody(marketplace="us", query=query, product=product)], ("us", "es"), SETTINGS)[0]


def test_white_space_around_texts_is_removed_and_blank_options_are_empty() -> None:
    body = ProductBody(id=" p1\n", title=" cable ", brand=" ", color=None, bullet_points="\ta", description="")
    assert checked(body, "　usb ") == QueryProductPair("us", "usb", Product("p1", "cable", bullet_points="a"))


def test_as_much_as_allowed_is_accepted() -> None:
    body = ProductBody(id="i" * MAX_ID_CHARACTERS, title="t" * 10, brand="b" * 10)
    pair = checked(body, "q" * 10)
    assert len(pair.product.id) == MAX_ID_CHARACTERS
    assert len(pair.query) == len(pair.product.title) == len(pair.product.brand) == 10


@pytest.mark.parametrize("name", ["brand", "color", "bullet_points", "description"])
@pytest.mark.parametrize(
    ("text", "problem"), [("x" * 11, "at most 10"), ("a\x00", "NUL"), ("\ud800", "surrogate")]
)
def test_a_bad_optional_text_is_named(name: str, text: str, problem: str) -> None:
    body = ProductBody(id="1", title="t").model_copy(update={name: text})
    with pytest.raises(InputError, match=rf"'pairs\[0\]\.product\.{name}': .*{problem}"):
        checked(body)


def test_the_limits_say_which_setting_they_are() -> None:
    body = PairBody(marketplace="us", query="q", product=ProductBody(id="1", title="t"))
    with pytest.raises(InputError, match=r"3 pairs; at most 2 \(MAX_PAIRS\)"):
        checked_pairs([body] * 3, ("us",), SETTINGS)


@pytest.mark.parametrize("name", ["fr", "u s", "us!", ""])
def test_an_unknown_marketplace_lists_the_known_ones(name: str) -> None:
    assert checked_known_marketplace("us", ("us", "es")) == "us"
    with pytest.raises(InputError, match=r"field 'market': .*known are us, es"):
        checked_known_marketplace(name, ("us", "es"), "market")


@pytest.mark.parametrize(
    ("points", "text"),
    [(["60 W ", None, "", "nylon"], "60 W nylon"), (" 60 W\nny", "60 W\nny"), ([], ""), (None, "")],
)
def test_bullet_points_may_be_a_list(points: str | list[str | None] | None, text: str) -> None:
    body = PairBody(marketplace="US", query="q", product=ProductBody(id="1", title="t", bullet_points=points))
    (pair,) = checked_pairs([body], ("us",), SETTINGS)
    assert (pair.marketplace, pair.product.bullet_points) == ("us", text)


def test_bullet_points_are_limited_as_one_text() -> None:
    points: list[str | None] = ["x" * 100] * (SETTINGS.max_text_characters // 100 + 1)
    body = PairBody(marketplace="us", query="q", product=ProductBody(id="1", title="t", bullet_points=points))
    with pytest.raises(InputError, match=r"pairs\[0\]\.product\.bullet_points"):
        checked_pairs([body], ("us",), SETTINGS)
