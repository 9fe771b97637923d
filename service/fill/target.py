"""What a fill works with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model_store.errors import ConfigurationError, InputError
from service.cache.store import OfflineCache
from service.engine.batching.micro_batching import MicroBatching
from service.engine.scorer import Scorer
from service.settings import ServiceSettings

DEFAULT_COVERAGE = 0.8


@dataclass(frozen=True, slots=True)
class FillOptions:
    """Options of one fill.

    Args:
        traffic: a table of how often queries were asked; only the most frequent are filled. None fills all.
        coverage: the share of that traffic that the filled queries are to make up, above 0 and at most 1.
        dry_run: score and compare, but let readers see nothing of it; the same fill without it then only has to
            let them.
        accept_changes: let readers see it although shares differ from the last generation's by more than the
            settings allow.
        restart: forget an interrupted fill.

    Raises:
        ConfigurationError: the coverage is not such a share.
    """

    traffic: Path | None = None
    coverage: float = DEFAULT_COVERAGE
    dry_run: bool = False
    accept_changes: bool = False
    restart: bool = False

    def __post_init__(self) -> None:
        checked_coverage(self.coverage)


def checked_coverage(coverage: float) -> float:
    """The same share.

    Raises:
        ConfigurationError: it is not above 0 and at most 1.
    """
    if not 0 < coverage <= 1:
        raise ConfigurationError(f"--coverage: {coverage:g} is no share; give a number above 0 and up to 1")
    return coverage


@dataclass(frozen=True, slots=True)
class FillTarget:
    """A marketplace, the model and the cache.

    `batching`: whose thread computes, beside requests; without it the fill has a thread of its own.
    """

    marketplace: str
    scorer: Scorer
    cache: OfflineCache
    settings: ServiceSettings
    batching: MicroBatching | None = None

    def threshold(self) -> float:
        """The score from which a pair is kept.

        Raises:
            InputError: an unknown marketplace.
            ConfigurationError: the model version has no threshold for it.
        """
        return checked_threshold(self.scorer, self.marketplace)


def checked_threshold(scorer: Scorer, marketplace: str) -> float:
    """The score from which a pair of a marketplace is kept.

    Raises:
        InputError: an unknown marketplace.
        ConfigurationError: the model version has no threshold for it.
    """
    if marketplace not in scorer.marketplaces:
        raise InputError(
            f"version {scorer.model_version} does not know {marketplace!r}; it knows "
            f"{', '.join(scorer.marketplaces)}",
            field="marketplace",
        )
    threshold = scorer.threshold(marketplace)
    if threshold is None:
        raise ConfigurationError(
            f"version {scorer.model_version} has no threshold for {marketplace!r}: on validation data "
            "no score reached the target precision, so nothing of it is cached"
        )
    return threshold
