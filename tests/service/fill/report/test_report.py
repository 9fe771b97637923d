from __future__ import annotations

import json
from datetime import UTC, datetime

from service.fill.report.histogram import ScoreHistogram
from service.fill.report.report import FillCounts, FillReport
from service.fill.report.stage_times import StageTimes


def test_shares_of_nothing_are_zero() -> None:
    counts = FillCounts()
    assert (counts.kept_share, counts.bad_share) == (0.0, 0.0)


def test_shares_are_of_scored_pairs_and_of_rows() -> None:
    counts = FillCounts(rows=50, bad_rows=5, other_marketplace_rows=5, scored=40, kept=10)
    assert (counts.kept_share, counts.bad_share) == (0.25, 0.1)


def test_a_report_reads_back_from_its_json() -> None:
    report = FillReport(
        fill_id="20260101T000000-abcd",
        marketplace="us",
        files=["a.tsv"],
        model_version=3,
        threshold=0.87,
        generation=7,
        flipped=True,
        resumed=0,
        traffic=None,
        difference=None,
        histogram=ScoreHistogram(threshold=0.87).with_scores([0.2, 0.9]),
        stages=StageTimes().report(),
        redis_bytes=1000,
        previous_generation=None,
        removed_generations=[5],
        counts=FillCounts(rows=2, scored=2, kept=1, cached=1, queries=2, nothing_relevant=1),
        kept_share=0.5,
        rejected_rows=None,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        seconds=1.5,
        pairs_per_second=1.3,
    )
    text = report.model_dump_json()
    assert FillReport.model_validate_json(text) == report
    assert json.loads(text)["counts"]["nothing_relevant"] == 1
