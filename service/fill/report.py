"""What a fill did: counted on the way, reported at the end."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field


class FillCounts(BaseModel):
    """Counts of rows and pairs.

    `kept` are pairs at or above the threshold, `removed_by_cap` those of them for which better products left no
    room, `cached` the products in the new generation, `queries` its entries, `nothing_relevant` the entries
    without a product. A product that comes twice for a query counts twice in `scored` and once in `cached`.
    """

    rows: int = 0
    bad_rows: int = 0
    other_marketplace_rows: int = 0
    scored: int = 0
    kept: int = 0
    removed_by_cap: int = 0
    cached: int = 0
    queries: int = 0
    nothing_relevant: int = 0

    @property
    def kept_share(self) -> float:
        """Share of scored pairs that were highly relevant."""
        return self.kept / self.scored if self.scored else 0.0

    @property
    def bad_share(self) -> float:
        """Share of rows that could not be used."""
        return self.bad_rows / self.rows if self.rows else 0.0


class FillReport(BaseModel):
    """The outcome of a fill that was verified and is being read now."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    fill_id: str
    marketplace: str
    files: list[str]
    model_version: int
    threshold: float
    generation: int
    previous_generation: int | None
    removed_generations: list[int] = Field(
        description="abandoned by interrupted fills, or older than the previous"
    )
    counts: FillCounts
    kept_share: float
    rejected_rows: str | None = Field(description="file of the rows that could not be used")
    started_at: datetime
    seconds: float
    pairs_per_second: float
