"""Training, validation and test pairs of a marketplace, split by query so that no query leaks."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from itertools import chain

from model_store.errors import ConfigurationError, InputError
from model_store.query_normalisation import normalised_query
from training.data.pairs import RelevancePair, read_pairs, write_pairs

__all__ = [
    "Splits",
    "check_trainable",
    "read_pairs",
    "split_by_query",
    "split_fold",
    "write_pairs",
]

MINIMUM_PER_CLASS = 5
"""Validation rows of each class below which ROC-AUC is mostly noise."""


@dataclass(frozen=True, slots=True)
class Splits:
    """The three disjoint parts of a marketplace's pairs; no normalised query is in two of them."""

    train: tuple[RelevancePair, ...]
    validation: tuple[RelevancePair, ...]
    test: tuple[RelevancePair, ...]

    def named(self) -> dict[str, tuple[RelevancePair, ...]]:
        """The parts by name, for files and reports."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def split_by_query(
    pairs: Iterable[RelevancePair],
    *,
    seed: int = 0,
    validation_fraction: float = 0.2,
    test_fraction: float = 0.2,
) -> Splits:
    """Split pairs by query; fractions are of each marketplace's distinct queries.

    Queries are ranked by a hash of (seed, marketplace, query) and the ranking is cut, so that the result
    does not depend on the order of the rows, and small data gets its fractions as exactly as large data.
    The default is the paper's 60/20/20 (appendix A). A positive fraction gets at least one query as long
    as one is left for training.

    Raises:
        ConfigurationError: the fractions are negative or leave nothing for training.
    """
    _check_fractions(validation_fraction, test_fraction)
    train: list[RelevancePair] = []
    validation: list[RelevancePair] = []
    test: list[RelevancePair] = []
    for ranking in _rankings(pairs, seed):
        tested, validated = _held_out(len(ranking), validation_fraction, test_fraction)
        test += chain.from_iterable(ranking[:tested])
        validation += chain.from_iterable(ranking[tested : tested + validated])
        train += chain.from_iterable(ranking[tested + validated :])
    return Splits(tuple(train), tuple(validation), tuple(test))


def split_fold(
    pairs: Iterable[RelevancePair], *, fold: int, folds: int, seed: int = 0, validation_fraction: float = 0.2
) -> Splits:
    """Split pairs by query for cross-validation: over all folds every query is in one test part.

    Queries are ranked as in `split_by_query`; every `folds`-th from number `fold` on is tested, and the
    validation part, a fraction of all queries, comes out of the rest.

    Raises:
        ConfigurationError: the fraction is negative or leaves nothing for training.
    """
    _check_fractions(validation_fraction, 1 / folds)
    train: list[RelevancePair] = []
    validation: list[RelevancePair] = []
    test: list[RelevancePair] = []
    for ranking in _rankings(pairs, seed):
        rest = [rows for place, rows in enumerate(ranking) if place % folds != fold]
        validated = _held_out(len(ranking), validation_fraction, 0.0)[1]
        test += chain.from_iterable(ranking[fold::folds])
        validation += chain.from_iterable(rest[:validated])
        train += chain.from_iterable(rest[validated:])
    return Splits(tuple(train), tuple(validation), tuple(test))


def _rankings(pairs: Iterable[RelevancePair], seed: int) -> Iterator[list[list[RelevancePair]]]:
    """Every marketplace's queries in the order of their hashes, each as its sorted rows."""
    rows: defaultdict[str, defaultdict[str, list[RelevancePair]]] = defaultdict(lambda: defaultdict(list))
    for pair in pairs:
        rows[pair.marketplace][normalised_query(pair.query)].append(pair)
    for marketplace, by_query in sorted(rows.items()):
        ranking = sorted(by_query, key=partial(_query_hash, seed, marketplace))
        yield [sorted(by_query[query], key=astuple) for query in ranking]


def check_trainable(
    splits: Splits, marketplace: str, source: str, minimum_per_class: int = MINIMUM_PER_CLASS
) -> None:
    """Refuse splits that nothing can be learnt from or measured on, before any time is spent.

    Args:
        splits: the splits of one marketplace.
        marketplace: its name, for the message.
        source: file or data source the pairs came from, for the message.
        minimum_per_class: validation rows that each of the two classes must have.

    Raises:
        InputError: no pairs at all, a part with one class only, or too few validation rows of a class.
    """
    where = f"marketplace {marketplace!r}"
    if not any(splits.named().values()):
        raise InputError(f"{where} has no pairs; give a file that has rows of it", source=source)
    for name, pairs in splits.named().items():
        positives, negatives = _class_counts(pairs)
        if not positives or not negatives:
            raise InputError(
                f"{where}: the {name} part has {positives} relevant and {negatives} not relevant pairs and "
                "needs both; give more queries, or check the labels",
                source=source,
            )
    positives, negatives = _class_counts(splits.validation)
    if min(positives, negatives) < minimum_per_class:
        raise InputError(
            f"{where}: the validation part has {positives} relevant and {negatives} not relevant pairs and "
            f"needs {minimum_per_class} of each; give more queries, or a larger validation fraction",
            source=source,
        )


def _class_counts(pairs: Sequence[RelevancePair]) -> tuple[int, int]:
    positives = sum(pair.label for pair in pairs)
    return positives, len(pairs) - positives


def _check_fractions(validation_fraction: float, test_fraction: float) -> None:
    if min(validation_fraction, test_fraction) < 0 or validation_fraction + test_fraction >= 1:
        raise ConfigurationError(
            f"validation fraction {validation_fraction} and test fraction {test_fraction} must not be "
            "negative and together stay below 1, so that something is left for training"
        )


def _query_hash(seed: int, marketplace: str, query: str) -> bytes:
    # A lone surrogate cannot be encoded strictly; splitting must not be what fails on it.
    text = f"{marketplace}\0{query}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, key=str(seed).encode(), digest_size=16).digest()


def _held_out(queries: int, validation_fraction: float, test_fraction: float) -> tuple[int, int]:
    """How many of `queries` go to test and to validation."""
    tested = max(round(queries * test_fraction), int(test_fraction > 0))
    validated = max(round(queries * validation_fraction), int(validation_fraction > 0))
    tested = min(tested, max(queries - 1, 0))
    return tested, min(validated, max(queries - 1 - tested, 0))
