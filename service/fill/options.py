"""What a fill is told beyond its candidates and marketplace. Without torch: command lines start at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model_store.errors import ConfigurationError

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
