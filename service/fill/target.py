"""What a fill works with."""

from __future__ import annotations

from dataclasses import dataclass

from model_store.errors import ConfigurationError, InputError
from service.cache.store import CacheStore
from service.engine.batching.micro_batching import MicroBatching
from service.engine.scorer import Scorer
from service.settings import ServiceSettings


@dataclass(frozen=True, slots=True)
class FillTarget:
    """A marketplace, the model and the cache.

    `batching`: whose thread computes, beside requests; without it the fill has a thread of its own.
    """

    marketplace: str
    scorer: Scorer
    cache: CacheStore
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
