from __future__ import annotations

import io
import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from rich.console import Console

from model_store.files import write_json
from scripts.demo.baseline import KEPT, Baseline, keep, kept
from scripts.demo.journey import Journey, Part, Step
from scripts.demo.plan import EVALUATION, demo_steps, seconds_by_kind
from scripts.demo.progress_line import ProgressLine
from scripts.demo.published_versions import PublishedVersions
from scripts.demo.request import DemoRequest
from training.configuration import load_configuration
from training.stages.progress import progress_listener, stage_progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


STEPS = [
    Step("preparing", (Part("reading", 10.0),)),
    Step(
        "learning us",
        (Part("us adapter", 20.0, "adapter", counted=True), Part("us publishing", 5.0, "publishing")),
    ),
    Step(
        "learning es",
        (Part("es adapter", 20.0, "adapter", counted=True), Part("es publishing", 5.0, "publishing")),
    ),
    Step("starting the service", (Part("starting", 40.0, scales=False),)),
]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journey(clock: Clock) -> Journey:
    return Journey(STEPS, clock)


def test_the_time_left_is_that_of_all_steps(journey: Journey, clock: Clock) -> None:
    assert journey.seconds_left() == 100.0
    assert journey.text() == "step 1 of 4: preparing"
    clock.now += 4
    assert journey.seconds_left() == 96.0
    clock.now += 6
    journey.enter("us adapter")
    journey.count(0, 200, "steps")
    assert journey.seconds_left() == 90.0


def test_the_line_tells_the_count_and_the_rate(journey: Journey, clock: Clock) -> None:
    journey.enter("es adapter")
    journey.count(40, 1240, "steps")
    assert journey.text() == "step 3 of 4: learning es (adapter 40/1,240)"
    clock.now += 10
    journey.advance(80)
    assert journey.text() == "step 3 of 4: learning es (adapter 120/1,240), 8.0 steps/s"


def test_a_slower_machine_or_more_data_lengthen_training_only(journey: Journey, clock: Clock) -> None:
    """Ten seconds as expected are the beginning, and ten more are read before the first adapter."""
    clock.now += 10
    journey.enter("us adapter")
    journey.count(0, 100, "steps")
    clock.now += 30
    journey.advance(50)
    training = (20 + 30) / (20 + 10)
    adapter = (10 * training + 30) / (10 + 10)
    assert journey.seconds_left() == pytest.approx(30 * adapter + 10 * training + 40)
    clock.now += 30
    journey.advance(50)
    journey.over()
    training = (20 + 60) / (20 + 20)
    adapter = (10 * training + 60) / (10 + 20)
    assert journey.seconds_left() == pytest.approx(20 * adapter + 10 * training + 40)
    assert journey.seconds == {"reading": 10.0, "us adapter": 60.0}


def test_a_faster_machine_is_faster_at_everything(journey: Journey, clock: Clock) -> None:
    clock.now += 10
    journey.enter("us adapter")
    journey.count(0, 100, "steps")
    clock.now += 5
    journey.advance(100)
    journey.over()
    training = (20 + 5) / (20 + 20)
    adapter = (10 * training + 5) / (10 + 20)
    assert journey.seconds_left() == pytest.approx(20 * adapter + (10 + 40) * training)


def test_what_was_done_before_an_interruption_says_nothing_of_the_pace(journey: Journey, clock: Clock) -> None:
    clock.now += 10
    journey.enter("es adapter")
    journey.count(50, 100, "steps")
    assert journey.seconds_left() == pytest.approx(10 + 5 + 40)
    clock.now += 10
    journey.advance(50)
    journey.over()
    assert journey.seconds_left() == pytest.approx(5 + 40)


def test_a_step_is_finished_though_its_parts_were_passed_by(journey: Journey) -> None:
    journey.finish_step("learning us")
    assert journey.step == 3
    journey.finish_step("preparing")
    assert journey.step == 3
    assert not journey.enter("us adapter")
    journey.finish_step("starting the service")
    assert (journey.step, journey.seconds_left()) == (4, 0.0)
    journey.over()
    assert journey.text() == "step 4 of 4: starting the service"


def test_the_demo_has_a_step_for_each_marketplace_and_for_each_part_of_serving() -> None:
    steps = demo_steps(["us", "es", "jp"], baseline=False, anchors=False)
    assert [step.title for step in steps[:4]] == [
        "preparing data and encoder", "learning us", "learning es", "learning jp",
    ]  # fmt: skip
    assert len(steps) == 8
    assert [part.name for part in steps[1].parts] == ["us frozen layers", "us adapter", "us publishing"]
    assert "es fusion" in [part.name for part in steps[2].parts]
    with_anchors = demo_steps(["us"], baseline=False, anchors=True)[1].parts
    assert [part.name for part in with_anchors][:2] == ["us frozen layers", "us anchors frozen layers"]
    assert len(demo_steps(["us"], baseline=True, anchors=True)) == 7
    assert all(part.seconds > 0 for step in steps for part in step.parts)


def test_measured_seconds_are_kept_as_the_expected_ones_are() -> None:
    parts = {
        "reading": 3.0,
        EVALUATION: 2.0,
        "us adapter": 4.0,
        "es adapter": 6.0,
        "us anchors frozen layers": 7.0,
    }
    assert seconds_by_kind(parts) == {
        "reading": 3.0,
        EVALUATION: 2.0,
        "adapter": 5.0,
        "anchors frozen layers": 7.0,
    }


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


DEFAULT = DemoRequest(
    data="catalogue",
    sequence=("us", "es", "jp"),
    translation="catalogue",
    seed=0,
    preset="quickstart",
    settings=(),
    folder=Path("demo"),
    baseline=False,
)


def measured(seed: int, auc: float) -> Baseline:
    configuration = load_configuration("quickstart", {}).model_dump(mode="json")
    determining = ("base_encoder", "pair_encoding", "head", "finetuning_stage", "validation_share", "test_share")
    return Baseline(
        data="catalogue",
        sequence=["us", "es", "jp"],
        test_matrix=[dict.fromkeys(("us", "es", "jp"), auc)] * 3,
        trainable_parameters=7,
        seconds=100.0,
        seeds=[seed],
        hardware="two cores",
        commit="0123456789abcdef",
        configuration={name: configuration[name] for name in determining},
    )


def written(folder: Path, *baselines: Baseline) -> list[Path]:
    paths = [folder / f"{place}.json" for place in range(len(baselines))]
    for path, one in zip(paths, baselines, strict=True):
        write_json(path, asdict(one))
    return paths


def test_means_over_seeds_are_kept_and_say_where_they_come_from(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    keep(written(tmp_path, measured(1, 0.8), measured(0, 0.9)), path)
    found = kept(DEFAULT, path)
    assert found is not None
    assert found.test_matrix[2]["jp"] == pytest.approx(0.85)
    assert found.source == "catalogue, mean of seeds 0, 1, two cores, commit 0123456789"


@pytest.mark.parametrize(
    "asked",
    [
        replace(DEFAULT, data="catalogue:300"),
        replace(DEFAULT, data="table:mine.tsv"),
        replace(DEFAULT, sequence=("es", "us", "jp")),
        replace(DEFAULT, settings=("finetuning_stage.epochs=99",)),
        replace(DEFAULT, preset="small", settings=("base_encoder=packaged:1",)),
    ],
    ids=lambda asked: f"{asked.data}-{asked.sequence[0]}-{asked.settings}",
)
def test_kept_figures_are_of_their_data_sequence_and_configuration_only(
    tmp_path: Path, asked: DemoRequest
) -> None:
    path = tmp_path / "kept.json"
    keep(written(tmp_path, measured(0, 0.9)), path)
    assert kept(replace(DEFAULT, seed=7, settings=("adapter_stage.epochs=1",)), path) is not None
    assert kept(asked, path) is None
    assert kept(DEFAULT, tmp_path / "none.json") is None


@pytest.mark.parametrize("other", [measured(0, 0.8), replace(measured(1, 0.8), commit="f" * 40)])
def test_figures_that_do_not_belong_together_are_not_averaged(tmp_path: Path, other: Baseline) -> None:
    with pytest.raises(ValueError, match="differ"):
        keep(written(tmp_path, measured(0, 0.9), other), tmp_path / "kept.json")
    assert not (tmp_path / "kept.json").exists()


def test_figures_that_ship_are_of_what_the_demo_does_by_default() -> None:
    """Whoever changes the preset measures them anew, or removes the file."""
    if KEPT.is_file():
        found = kept(DEFAULT)
        assert found is not None
        assert len(json.loads(KEPT.read_text(encoding="utf-8"))["commit"]) == 40


PROGRESS_STEPS = [
    Step("learning us", (Part("us adapter", 100.0, "adapter", counted=True),)),
    Step("serving", (Part("starting", 20.0, scales=False),)),
]


def test_a_log_gets_a_line_a_step_and_one_every_ten_seconds() -> None:
    written, clock = io.StringIO(), Clock()
    line = ProgressLine(Journey(PROGRESS_STEPS, clock), Console(file=written, width=200), clock)
    with line, progress_listener(line):
        with stage_progress("us adapter", 100, 0) as stage:
            for _ in range(100):
                clock.now += 0.25
                stage.advance({"cross-entropy": 0.5})
            with stage_progress("something else", 5, 0) as unknown:
                unknown.advance({})
        clock.now += 1
        line.over()
    lines = written.getvalue().splitlines()
    assert [text.partition(",")[0] for text in lines] == [
        "step 1 of 2: learning us",
        "step 1 of 2: learning us (adapter 40/100)",
        "step 1 of 2: learning us (adapter 80/100)",
        "step 2 of 2: serving",
    ]
    assert lines[0].endswith("2:00 left for all")
    # 40 expected seconds took 10, beside 10 that weigh as expected.
    pace = (10 + 10) / (10 + 40)
    left = 60 * (10 * pace + 10) / (10 + 40) + 20 * pace
    assert lines[1].endswith(f"4.0 steps/s, 0:{left:.0f} left for all")


def test_a_terminal_gets_one_live_line_and_what_is_to_be_read() -> None:
    written, clock = io.StringIO(), Clock()
    console = Console(file=written, width=80, force_terminal=True, color_system=None)
    with ProgressLine(Journey(PROGRESS_STEPS, clock), console, clock) as line:
        line.say("version 1 is published")
        line.begin("us adapter", 0, 100, "steps")
        line.advance({}, 7)
        line.end()
    assert "version 1 is published\n" in written.getvalue()
    shown = [text for text in re.split("[\r\n]", written.getvalue()) if "step " in text]
    assert shown
    assert all(" left step " in text for text in shown)
