from __future__ import annotations

import random

import pytest

from model_store.errors import ConfigurationError, InputError
from training.data.pairs import RelevancePair
from training.data.splits import Splits, check_trainable, split_by_query, split_fold


def _pairs(queries: int, marketplace: str = "us", products: int = 4) -> list[RelevancePair]:
    return [
        RelevancePair(marketplace, f"query {query}", f"P{query}-{product}", "a title", product % 2)
        for query in range(queries)
        for product in range(products)
    ]


def _queries(pairs: tuple[RelevancePair, ...]) -> set[str]:
    return {pair.query for pair in pairs}


def test_no_query_is_in_two_parts_and_no_row_is_lost() -> None:
    pairs = _pairs(50)
    splits = split_by_query(pairs)
    parts = [_queries(part) for part in splits.named().values()]
    assert [len(part) for part in parts] == [30, 10, 10]
    assert len(set.union(*parts)) == 50
    assert sorted(sum(splits.named().values(), ()), key=repr) == sorted(pairs, key=repr)


def test_spellings_of_one_query_stay_together() -> None:
    spellings = ["Red Shoes", "red  shoes", "ＲＥＤ shoes", " red\u3000SHOES", "re\u00add\u200b shoes\ufe0f"]
    pairs = [RelevancePair("us", spelling, f"P{n}", "t", 1) for n, spelling in enumerate(spellings)]
    splits = split_by_query(pairs + _pairs(9))
    homes = [name for name, part in splits.named().items() if set(pairs) & set(part)]
    assert len(homes) == 1


def test_the_order_of_rows_does_not_matter() -> None:
    pairs = _pairs(40)
    shuffled = random.Random(3).sample(pairs, len(pairs))
    assert split_by_query(shuffled, seed=5) == split_by_query(pairs, seed=5)


def test_another_marketplace_in_the_file_changes_nothing() -> None:
    alone = split_by_query(_pairs(40))
    together = split_by_query(_pairs(40) + _pairs(30, marketplace="es"))
    for name, part in alone.named().items():
        assert part == tuple(pair for pair in together.named()[name] if pair.marketplace == "us")


def test_another_seed_gives_another_split() -> None:
    assert split_by_query(_pairs(40), seed=1) != split_by_query(_pairs(40), seed=2)


def test_small_data_gets_its_fractions_too() -> None:
    splits = split_by_query(_pairs(5))
    assert [len(_queries(part)) for part in splits.named().values()] == [3, 1, 1]


def test_the_last_query_is_kept_for_training() -> None:
    splits = split_by_query(_pairs(1))
    assert [len(_queries(part)) for part in splits.named().values()] == [1, 0, 0]


@pytest.mark.parametrize(("validation", "test"), [(0.5, 0.5), (-0.1, 0.2), (0.9, 0.2)])
def test_fractions_that_leave_nothing_for_training_are_refused(validation: float, test: float) -> None:
    with pytest.raises(ConfigurationError, match="fraction"):
        split_by_query(_pairs(5), validation_fraction=validation, test_fraction=test)


def test_enough_data_of_both_classes_is_trainable() -> None:
    check_trainable(split_by_query(_pairs(50)), "us", "pairs.tsv")


def test_an_empty_data_set_is_refused() -> None:
    with pytest.raises(InputError, match=r"pairs\.tsv: marketplace 'us' has no pairs"):
        check_trainable(Splits((), (), ()), "us", "pairs.tsv")


def test_one_class_only_is_refused() -> None:
    relevant = [pair for pair in _pairs(50) if pair.label == 1]
    with pytest.raises(InputError, match="train part has 60 relevant and 0 not relevant"):
        check_trainable(split_by_query(relevant), "us", "pairs.tsv")


def test_an_empty_test_part_is_refused() -> None:
    splits = split_by_query(_pairs(50), test_fraction=0.0)
    with pytest.raises(InputError, match="test part has 0 relevant and 0 not relevant"):
        check_trainable(splits, "us", "pairs.tsv")


def test_too_little_validation_data_is_refused() -> None:
    splits = split_by_query(_pairs(10))
    with pytest.raises(InputError, match=r"validation part has 4 relevant and 4 not relevant .* needs 5"):
        check_trainable(splits, "us", "pairs.tsv")
    check_trainable(splits, "us", "pairs.tsv", minimum_per_class=4)


def test_every_query_is_tested_in_one_fold_and_no_row_is_lost() -> None:
    pairs = [*_pairs(97), *_pairs(31, "es")]
    folds = [split_fold(pairs, fold=fold, folds=5, seed=3) for fold in range(5)]
    tested = [{(pair.marketplace, pair.query) for pair in fold.test} for fold in folds]
    assert sum(map(len, tested)) == len(set().union(*tested)) == 128
    assert sum(len(fold.test) for fold in folds) == len(pairs)
    for fold in folds:
        parts = [{(pair.marketplace, pair.query) for pair in part} for part in fold.named().values()]
        assert all(parts[one].isdisjoint(parts[other]) for one, other in ((0, 1), (0, 2), (1, 2)))
        assert sum(map(len, fold.named().values())) == len(pairs)
        assert len({pair.query for pair in fold.validation if pair.marketplace == "us"}) == 19


def test_another_seed_gives_other_folds() -> None:
    one, other = (split_fold(_pairs(40), fold=0, folds=4, seed=seed) for seed in (0, 1))
    assert one != other


def test_folds_that_leave_nothing_for_training_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="left for training"):
        split_fold(_pairs(40), fold=0, folds=2, validation_fraction=0.5)
