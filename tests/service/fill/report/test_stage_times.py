from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from service.fill.report.stage_times import StageReport, StageTimes


def used(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_a_stage_has_its_seconds_and_its_share() -> None:
    times = StageTimes()
    with times.stage("reading"):
        used(0.05)
    used(0.05)
    with times.stage("reading"):
        used(0.05)
    report = times.report()
    reading = report.stages["reading"]
    assert 0.1 <= reading.seconds <= report.wall_seconds - 0.05 + 0.001
    assert reading.share == pytest.approx(reading.seconds / report.wall_seconds, abs=0.01)
    assert report.stages["writing"].seconds == report.stages["writing"].share == 0.0


def test_stages_overlap_and_a_stage_in_two_threads_counts_once() -> None:
    times = StageTimes()
    inside = threading.Barrier(3)

    def score() -> None:
        with times.stage("scoring"):
            inside.wait(30)
            used(0.05)

    threads = [threading.Thread(target=score) for _ in range(2)]
    with times.stage("writing"):
        for thread in threads:
            thread.start()
        inside.wait(30)
        for thread in threads:
            thread.join()
    report = times.report()
    assert 0.05 <= report.stages["scoring"].seconds <= report.wall_seconds + 0.001
    assert report.stages["scoring"].seconds <= report.stages["writing"].seconds + 0.001
    assert report.stages["scoring"].share + report.stages["writing"].share > 1


def test_many_threads_lose_nothing() -> None:
    times = StageTimes()

    def enter_often() -> None:
        for _ in range(2000):
            with times.stage("tokenising"):
                pass

    threads = [threading.Thread(target=enter_often) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    before = times.report().stages["tokenising"].seconds
    used(0.02)
    assert times.report().stages["tokenising"].seconds == before


def test_a_stage_under_way_counts_and_an_error_ends_it() -> None:
    times = StageTimes()
    with times.stage("writing"):
        used(0.02)
        before = times.report().stages["writing"].seconds
    assert before >= 0.02
    with pytest.raises(ZeroDivisionError), times.stage("writing"):
        raise ZeroDivisionError
    after = times.report().stages["writing"].seconds
    used(0.02)
    assert times.report().stages["writing"].seconds == after


def test_only_getting_the_items_belongs_to_the_stage() -> None:
    times = StageTimes()
    items = []
    for item in times.iterated("reading", slow_items()):
        items.append(item)
        used(0.05)
    report = times.report()
    assert items == [0, 1]
    assert 0.04 <= report.stages["reading"].seconds <= report.wall_seconds - 0.1 + 0.001


def slow_items() -> Iterator[int]:
    for item in range(2):
        used(0.02)
        yield item


def test_it_reads_back_from_its_json_and_has_a_line_for_each_stage() -> None:
    times = StageTimes()
    with times.stage("scoring"):
        used(0.01)
    report = times.report()
    assert StageReport.model_validate_json(report.model_dump_json()) == report
    assert [line.split()[0] for line in report.text().splitlines()] == list(report.stages)
