"""A fill's report for people."""

from __future__ import annotations

from service.fill.generation.difference import Change, GenerationDifference
from service.fill.report.report import FillReport


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
