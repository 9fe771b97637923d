from __future__ import annotations

from pathlib import Path

from model_store.files import write_json
from scripts.demo.published_versions import PublishedVersions
from tests.scripts.test_journey import Clock


def publish(run: Path, number: int, marketplace: str) -> None:
    publication = {"number": number, "promoted": True, "reason": "promoted"}
    step = {"marketplace": marketplace}
    path = run / "steps" / f"{number:04d}-{marketplace}" / "published.json"
    write_json(path, {"step": step, "publication": publication})


def test_versions_are_seen_once_with_the_seconds_of_training_up_to_them(tmp_path: Path) -> None:
    clock = Clock()
    with PublishedVersions(tmp_path, clock) as versions:
        assert versions.new() == []
        clock.now += 62.04
        publish(tmp_path, 1, "us")
        [first] = versions.new()
        assert (first.marketplace, first.number, first.seconds) == ("us", 1, 62.0)
        assert versions.new() == []
        clock.now += 8
    clock.now += 3600
    with PublishedVersions(tmp_path, clock) as versions:
        assert versions.new() == []
        clock.now += 30
        publish(tmp_path, 2, "es")
        assert [version.seconds for version in versions.new()] == [100.0]
        assert [version.seconds for version in versions.all()] == [62.0, 100.0]


def test_nobody_knows_when_a_version_of_another_command_was_published(tmp_path: Path) -> None:
    publish(tmp_path, 1, "us")
    with PublishedVersions(tmp_path) as versions:
        assert versions.new() == []
        assert [version.seconds for version in versions.all()] == [None]


def test_a_run_that_was_not_begun_leaves_nothing(tmp_path: Path) -> None:
    with PublishedVersions(tmp_path / "run"):
        pass
    assert not (tmp_path / "run").exists()
