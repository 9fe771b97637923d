from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from itertools import groupby

import pytest

from model_store.errors import ConfigurationError, InputError
from training.data.catalogue import (
    MARKETPLACES,
    NO_NOISE,
    Noise,
    generate_candidates,
    generate_judged,
    generate_pairs,
)
from training.data.catalogue.generator import CANDIDATES, CatalogueGenerator, draw_judged
from training.data.catalogue.judgement import RELEVANT
from training.data.catalogue.lexicon import load_lexicon
from training.data.catalogue.marketplaces import marketplace_named

ROWS = 1500


@pytest.mark.parametrize("marketplace", MARKETPLACES)
def test_as_many_pairs_as_asked_for_and_equal_seeds_give_equal_pairs(marketplace: str) -> None:
    pairs = generate_pairs(marketplace, 101, 7)
    assert len(pairs) == 101
    assert {pair.marketplace for pair in pairs} == {marketplace}
    assert pairs == generate_pairs(marketplace, 101, 7)
    assert pairs != generate_pairs(marketplace, 101, 8)


def test_another_process_with_another_hash_seed_generates_the_same() -> None:
    program = (
        "import hashlib; from training.data.catalogue import generate_pairs; "
        "print(hashlib.sha256(repr(generate_pairs('jp', 300, 3)).encode()).hexdigest())"
    )
    environment = {"PYTHONHASHSEED": "12345", "PYTHONPATH": ":".join(sys.path), "PATH": ""}
    other = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    own = hashlib.sha256(repr(generate_pairs("jp", 300, 3)).encode()).hexdigest()
    assert other.stdout.strip() == own


@pytest.mark.parametrize("marketplace", MARKETPLACES)
def test_judgements_follow_from_what_query_and_product_are(marketplace: str) -> None:
    for judged in draw_judged(marketplace, ROWS, 0):
        asked, offered = judged.intent.item, judged.offer.item
        related = (
            asked.key in (offered.key, offered.of) or offered.key in asked.siblings or asked.of == offered.key
        )
        if judged.esci == "E":
            assert offered is asked
            assert set(judged.intent.values) <= set(judged.offer.values)
            assert judged.intent.brand in ("", judged.offer.brand)
        elif judged.esci == "S":
            assert offered is asked or offered.key in asked.siblings
        elif judged.esci == "C":
            assert offered.of == asked.key or asked.of == offered.key
        else:
            assert not related


@pytest.mark.parametrize("marketplace", MARKETPLACES)
def test_relevant_means_exact_or_substitute(marketplace: str) -> None:
    judged = generate_judged(marketplace, ROWS, 0)
    assert all(pair.label == int(esci in RELEVANT) for pair, esci in judged)
    share = sum(pair.label for pair, _ in judged) / ROWS
    assert 0.5 < share < 0.6
    counts = Counter(esci for _, esci in judged)
    assert min(counts.values()) > ROWS / 10


@pytest.mark.parametrize("marketplace", MARKETPLACES)
def test_a_query_has_six_to_ten_different_products(marketplace: str) -> None:
    pairs = generate_pairs(marketplace, ROWS, 0)
    sizes = Counter(pair.query for pair in pairs)
    assert 6 <= ROWS / len(sizes) <= 10
    assert len({(pair.query, pair.product_id) for pair in pairs}) == ROWS


def test_a_product_id_names_one_product_whatever_the_seed() -> None:
    products = {(pair.product_id, pair.product) for seed in range(3) for pair in generate_pairs("us", ROWS, seed)}
    assert len({product_id for product_id, _ in products}) == len(products)
    assert all(product_id.startswith("us-P") for product_id, _ in products)


def test_every_query_has_both_relevant_and_irrelevant_products_more_often_than_not() -> None:
    pairs = generate_pairs("de", ROWS, 0)
    labels = [{pair.label for pair in group} for _, group in groupby(pairs, key=lambda pair: pair.query)]
    assert sum(len(found) == 2 for found in labels) > 0.9 * len(labels)


@pytest.mark.parametrize("marketplace", MARKETPLACES)
def test_dominant_categories_make_most_of_a_marketplace(marketplace: str) -> None:
    dominant = marketplace_named(marketplace).categories
    judged = draw_judged(marketplace, ROWS, 0)
    share = sum(one.intent.item.category in dominant for one in judged) / ROWS
    assert 0.6 < share < 0.85


def test_no_two_marketplaces_have_the_same_mix_of_categories() -> None:
    mixes = [frozenset(marketplace_named(name).categories) for name in MARKETPLACES]
    assert len(set(mixes)) == len(MARKETPLACES)


def test_some_brands_mean_different_things_in_two_marketplaces() -> None:
    sold: dict[str, set[str]] = {}
    for name in MARKETPLACES:
        for brand, (item, *_) in marketplace_named(name).house_brands.items():
            sold.setdefault(brand, set()).add(item)
    assert sum(len(items) > 1 for items in sold.values()) >= 3


@pytest.mark.parametrize("marketplace", MARKETPLACES)
def test_house_brands_alone_are_asked_for_in_many_ways(marketplace: str) -> None:
    judged = [one for one in draw_judged(marketplace, ROWS, 0) if not one.intent.names_item]
    brands = Counter(brand for brand, _ in {(one.intent.brand, one.pair.query) for one in judged})
    assert 0.08 < len(judged) / ROWS < 0.35
    assert sum(queries >= 2 for queries in brands.values()) >= 5


def test_some_products_have_brand_color_and_bullet_points() -> None:
    pairs = generate_pairs("es", 300, 0)
    for filled in (
        sum(bool(pair.product_brand) for pair in pairs),
        sum(bool(pair.product_color) for pair in pairs),
        sum(bool(pair.product_bullet_points) for pair in pairs),
    ):
        assert 30 < filled < 270


def test_candidates_are_unlabelled_and_about_a_third_relevant() -> None:
    pairs = generate_candidates("br", 40, 25, 0)
    assert len(pairs) == 1000
    assert len({(pair.query, pair.product.id) for pair in pairs}) == 1000
    assert pairs == generate_candidates("br", 40, 25, 0)
    generator = CatalogueGenerator("br", 0, "candidates", Noise())
    judged = [one for _ in range(40) for one in generator.query_with(25, CANDIDATES)]
    assert [one.pair for one in judged] == pairs
    assert 300 <= sum(one.esci in RELEVANT for one in judged) <= 400


def test_noise_changes_queries_only_and_labels_only_when_asked_for() -> None:
    quiet = generate_judged("us", 400, 0, NO_NOISE)
    flipped = generate_judged("us", 400, 0, Noise(typos=0.0, accents=0.0, kana=0.0, shuffled=0.0, labels=0.1))
    assert [esci for _, esci in quiet] == [esci for _, esci in flipped]
    assert [pair.query for pair, _ in quiet] == [pair.query for pair, _ in flipped]
    changed = sum(one.label != other.label for (one, _), (other, _) in zip(quiet, flipped, strict=True))
    assert 20 < changed < 65


def test_typos_make_words_that_the_lexicon_does_not_know() -> None:
    known = {word for one in draw_judged("us", 400, 0, NO_NOISE) for word in one.pair.query.split()}
    typed = [pair.query for pair in generate_pairs("us", 400, 0, Noise(typos=1.0))]
    assert sum(any(word not in known for word in query.split()) for query in typed) > 350


def test_typos_never_ask_for_another_size() -> None:
    sizes = {
        word
        for one in draw_judged("de", 10_000, 0, NO_NOISE)
        for word in one.pair.query.split()
        if word[0].isdigit()
    }
    typed = generate_pairs("de", 1000, 0, Noise(typos=1.0))
    assert {word for pair in typed for word in pair.query.split() if word[0].isdigit()} <= sizes


def test_wrong_arguments_are_refused_with_what_would_be_right() -> None:
    with pytest.raises(InputError, match="no marketplace 'fr'; available are us, es, jp, de, ru, br"):
        generate_pairs("fr", 10, 0)
    with pytest.raises(InputError, match="'pairs': 0 is too few"):
        generate_pairs("us", 0, 0)
    with pytest.raises(InputError, match="'products_per_query': 0 is too few"):
        generate_candidates("us", 1, 0, 0)
    with pytest.raises(ConfigurationError, match=r"typos=1\.5 is no probability"):
        Noise(typos=1.5)


def test_the_lexicon_is_as_large_as_a_shop() -> None:
    items = load_lexicon().items.values()
    assert sum(not item.of for item in items) >= 60
    assert len(load_lexicon().categories) >= 10
    assert all(item.accessories for item in items if not item.of)
