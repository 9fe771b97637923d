"""What goes through the candidates of a fill: this process, or the machines of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.fill.candidates.chunks import ChosenQueries
from service.fill.candidates.reading import CandidateFile
from service.fill.generation.state import FillState
from service.fill.report.progress import Progress
from service.fill.report.stage_times import StageTimes
from service.fill.retry import Patience
from service.fill.scan import FillPass
from service.fill.target import FillTarget

MakePass = Callable[
    [FillTarget, Sequence[CandidateFile], ChosenQueries | None, FillState, Patience, Progress, StageTimes],
    FillPass,
]


@dataclass(frozen=True, slots=True)
class FillEngine:
    """Its name, which says how candidates are cut: a fill goes on only where it is cut as it was."""

    name: str
    make_pass: MakePass


LOCAL = FillEngine("local", FillPass)
