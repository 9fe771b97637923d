"""What a fill did: counted on the way, reported at the end."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from service.fill.candidates.traffic import TrafficCoverage
from service.fill.report.difference import Change, GenerationDifference
from service.fill.report.histogram import ScoreHistogram
from service.fill.report.stage_times import StageReport


def report_text(report: FillReport) -> str:
    """What was read, kept and written, how the scores are spread, and where the time went."""
    lines = _count_lines(report)
    if report.rejected_rows:
        lines.append(f"bad rows   {report.rejected_rows}")
    if report.traffic:
        lines.append(f"traffic    {report.traffic.text()}")
    if report.difference:
        lines += _difference_lines(report.difference)
    return "\n".join([*lines, "", report.histogram.text(), "", report.stages.text()])


def _count_lines(report: FillReport) -> list[str]:
    counts, seconds, rate = report.counts, report.seconds, report.pairs_per_second
    state = "is read now" if report.flipped else "is not read: run the same command without --dry-run"
    return [
        f"{report.marketplace}: generation {report.generation} of model version {report.model_version} {state}",
        f"rows       {counts.rows:,}: {counts.bad_rows:,} bad, {counts.other_marketplace_rows:,} of other "
        f"marketplaces, {counts.uncovered_rows:,} of queries below the coverage",
        f"pairs      {counts.scored:,} scored, {counts.kept:,} kept ({counts.kept_share:.1%})",
        f"cache      {counts.queries:,} queries ({counts.nothing_relevant:,} with nothing relevant), "
        f"{counts.cached:,} products, {report.redis_bytes / 1e6:,.1f} MB more in use",
        f"time       {seconds:,.1f} s, {rate:,.0f} pairs/s, interrupted {report.resumed} times",
    ]


def _difference_lines(difference: GenerationDifference) -> list[str]:
    changes = {"gained": difference.gained, "lost": difference.lost, "changed": difference.changed}
    lines = [f"{name:<10} {_change_text(change)}" for name, change in changes.items()]
    return [*lines, f"unchanged  {difference.unchanged:,} queries"]


def _change_text(change: Change) -> str:
    examples = f", as {'; '.join(change.examples)}" if change.examples else ""
    return f"{change.queries:,} queries{examples}"


def shown_path(path: Path) -> str:
    """A path that can be printed and written as JSON: bytes of it that are not UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


class FillCounts(BaseModel):
    """Counts of rows and pairs.

    `uncovered_rows` are those of queries below the traffic's coverage, `kept` pairs at or above the threshold,
    `cached` the products in the new generation, `queries` its entries, `nothing_relevant` the entries without a
    product. What is kept and not cached came twice for its query, or better products left no room for it.
    """

    rows: int = 0
    bad_rows: int = 0
    other_marketplace_rows: int = 0
    uncovered_rows: int = 0
    scored: int = 0
    kept: int = 0
    cached: int = 0
    queries: int = 0
    nothing_relevant: int = 0

    @property
    def kept_share(self) -> float:
        """Share of scored pairs that were highly relevant."""
        return self.kept / self.scored if self.scored else 0.0

    @property
    def empty_share(self) -> float:
        """Share of queries without a product."""
        return self.nothing_relevant / self.queries if self.queries else 0.0

    @property
    def bad_share(self) -> float:
        """Share of rows that could not be used."""
        return self.bad_rows / self.rows if self.rows else 0.0


class FillReport(BaseModel):
    """The outcome of a fill that was verified, and is being read now unless it was a dry run."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    fill_id: str
    marketplace: str
    files: list[str]
    model_version: int
    threshold: float
    generation: int
    flipped: bool = Field(description="whether readers see the generation; not after a dry run")
    resumed: int = Field(description="how many times the fill was interrupted and went on")
    traffic: TrafficCoverage | None = Field(description="which queries were left out, where traffic was given")
    difference: GenerationDifference | None = Field(description="of a dry run, from what is read now")
    previous_generation: int | None
    removed_generations: list[int] = Field(
        description="abandoned by interrupted fills, or older than the previous"
    )
    counts: FillCounts
    kept_share: float
    histogram: ScoreHistogram
    stages: StageReport = Field(description="where the time of the last start went")
    rejected_rows: str | None = Field(description="file of the rows that could not be used")
    started_at: datetime
    seconds: float = Field(description="of the last start of the command")
    pairs_per_second: float
    redis_bytes: int = Field(description="by how much the memory of the server grew while it was filled")
