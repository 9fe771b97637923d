"""The demo's steps, with what each is expected to take."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.demo.journey import Part, Step

EXPECTED_SECONDS = Path(__file__).with_name("expected_seconds.json")
"""Seconds by kind of part on the bundled catalogue, as the report's `part_seconds`; the real pace is seen."""

READING, STARTING, SCORING, FILLING, LOOKING_UP = "reading", "starting", "scoring", "filling", "looking up"
EVALUATION = "evaluation frozen layers"
PUBLISHING = "publishing"
PREPARING_STEP = "preparing data and encoder"
_ANCHORS = "anchors frozen layers"
_COUNTED = (_ANCHORS, "frozen layers", "adapter", "fusion")


def demo_steps(sequence: Sequence[str], baseline: bool, anchors: bool) -> list[Step]:
    """All steps of a demo that learns the marketplaces of a sequence.

    Args:
        baseline: whether it also measures the baseline.
        anchors: whether the configuration has any.
    """
    seconds: Mapping[str, float] = json.loads(EXPECTED_SECONDS.read_text(encoding="utf-8"))["seconds"]
    steps = [
        Step(PREPARING_STEP, (Part(READING, seconds[READING]), _counted("evaluation", "frozen layers", seconds))),
        *(
            Step(learning(name), _learning(name, seconds, first=not place, anchors=anchors))
            for place, name in enumerate(sequence)
        ),
    ]
    if baseline:
        parts = tuple(_counted(name, "fine-tuning", seconds) for name in sequence)
        steps.append(Step("sequential fine-tuning", parts))
    return [
        *steps,
        *(
            Step(title, (Part(name, seconds[name], counted=name == FILLING, scales=False),))
            for title, name in (
                ("starting the service", STARTING),
                ("scoring over HTTP", SCORING),
                ("filling the cache", FILLING),
                ("reading the cache", LOOKING_UP),
            )
        ),
    ]


def learning(marketplace: str) -> str:
    """Title of the step that learns a marketplace."""
    return f"learning {marketplace}"


def seconds_by_kind(seconds: Mapping[str, float]) -> dict[str, float]:
    """Means over marketplaces of what the parts took: what `expected_seconds.json` holds."""
    kinds: dict[str, list[float]] = {}
    for name, value in seconds.items():
        kind = next((kind for kind in (*_COUNTED, "fine-tuning", PUBLISHING) if name.endswith(f" {kind}")), name)
        kinds.setdefault(name if name == EVALUATION else kind, []).append(value)
    return {kind: round(statistics.mean(values), 1) for kind, values in kinds.items()}


def _learning(marketplace: str, seconds: Mapping[str, float], first: bool, anchors: bool) -> tuple[Part, ...]:
    kinds = ["frozen layers", *([_ANCHORS] if anchors else []), "adapter", *([] if first else ["fusion"])]
    return (
        *(_counted(marketplace, kind, seconds) for kind in kinds),
        Part(f"{marketplace} {PUBLISHING}", seconds[PUBLISHING], label=PUBLISHING),
    )


def _counted(subject: str, kind: str, seconds: Mapping[str, float]) -> Part:
    name = f"{subject} {kind}"
    return Part(name, seconds.get(name, seconds.get(kind, 0.0)), label=kind, counted=True)
