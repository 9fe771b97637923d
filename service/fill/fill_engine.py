"""What goes through the candidates of a fill: this process, or the machines of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.fill.candidate_chunks import ChosenQueries
from service.fill.candidates import CandidateFile
from service.fill.fill_pass import FillPass
from service.fill.fill_state import FillState
from service.fill.fill_target import FillTarget
from service.fill.patience import Patience
from service.fill.progress import Progress
from service.fill.stage_times import StageTimes

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
