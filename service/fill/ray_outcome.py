"""What came of one part of the candidates, sent to the driver."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from model_store import errors
from model_store.errors import RelevanceError
from service.fill.candidates.chunks import ReadingState
from service.fill.report.histogram import ScoreHistogram
from service.fill.report.sample import SampledPair
from service.fill.report.stage_times import Stage


class RejectedRow(BaseModel):
    """A row that could not be used."""

    model_config = ConfigDict(frozen=True)

    row: int
    problem: str
    field: str | None


class PartOutcome(BaseModel):
    """Counts of a part whose pairs are all written; everything is added to what other parts counted.

    `keys` are those of the entries that were written, `engine` is the form of the model that scored.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    engine: str
    reading: ReadingState
    scored: int
    kept: int
    keys: list[str]
    sample: tuple[SampledPair, ...]
    histogram: ScoreHistogram
    rejected: list[RejectedRow]
    seconds: dict[Stage, float]


class PartFailure(BaseModel):
    """Why a part could not be filled; of what kind the exception was, and its text."""

    model_config = ConfigDict(frozen=True)

    kind: str
    message: str

    @classmethod
    def of(cls, error: Exception) -> PartFailure:
        """What is to be raised by the driver."""
        return cls(kind=type(error).__name__, message=str(error) or repr(error))

    def error(self) -> RelevanceError:
        """The exception, of its class if that is one of this product."""
        kind = getattr(errors, self.kind, None)
        if isinstance(kind, type) and issubclass(kind, RelevanceError):
            return kind(self.message)
        return RelevanceError(f"a scoring actor failed with {self.kind}: {self.message}")


class PartReply(BaseModel):
    """One of the two."""

    model_config = ConfigDict(frozen=True)

    outcome: PartOutcome | None = None
    failure: PartFailure | None = Field(default=None)
