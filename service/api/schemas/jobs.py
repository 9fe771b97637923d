"""What the routes of jobs take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.fill.options import DEFAULT_COVERAGE
from service.fill.report.progress import FillStage
from service.fill.report.report import FillReport
from service.jobs.folder import MAX_NAME_CHARACTERS

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARACTERS)]


class FillJobRequest(BaseModel):
    """A fill of one marketplace, with the command line's options; files are named relative to JOBS_FOLDER."""

    model_config = ConfigDict(extra="forbid")

    marketplace: str = Field(examples=["es"])
    candidates: list[Name] = Field(min_length=1, max_length=1000, examples=[["today/", "extra.parquet"]])
    traffic: Name | None = Field(
        default=None,
        description="table of query and count; only the most frequent queries are filled",
        examples=["counts.parquet"],
    )
    coverage: float = Field(
        default=DEFAULT_COVERAGE, gt=0, le=1, description="share of that traffic that the filled queries make up"
    )
    dry_run: bool = Field(default=False, description="tell what would change; readers see nothing of it")
    accept_changes: bool = Field(
        default=False, description="flip even if shares moved by more than the settings allow"
    )
    restart: bool = Field(default=False, description="forget a fill that was interrupted")


class JobProgressAnswer(BaseModel):
    """How far a job is; counts include what an interrupted fill had done before."""

    stage: FillStage
    rows: int = Field(description="rows read", examples=[250_000])
    scored: int = Field(description="pairs scored", examples=[240_000])
    kept: int = Field(description="of them at or above the threshold", examples=[36_000])
    kept_share: float = Field(examples=[0.15])
    share_read: float = Field(description="of the files' bytes", examples=[0.42])
    pairs_per_second: float = Field(examples=[5_200.0])
    seconds_left: float | None = Field(description="until all is scored", examples=[63.2])
    note: str | None = Field(
        description="the last thing that happened, as that the cache is waited for", examples=[None]
    )


class JobErrorAnswer(BaseModel):
    """Why a job failed; the cache is as it was."""

    detail: str = Field(examples=["candidates.tsv, row 12: the file is cut off"])
    type: str = Field(examples=["InputError"])
    exit_code: int = Field(description="of the command line, for the same error", examples=[2])


class JobAnswer(BaseModel):
    """A job. `cancelled`: by DELETE; nothing of it stays."""

    id: str = Field(examples=["20261124T102609-1a6e93f0"])
    state: Literal["waiting", "running", "cancelling", "succeeded", "failed", "cancelled"] = Field(
        examples=["running"]
    )
    request: FillJobRequest
    created_at: datetime = Field(examples=["2026-11-24T10:26:09.087080Z"])
    started_at: datetime | None = Field(examples=["2026-11-24T10:26:10.501000Z"])
    ended_at: datetime | None = Field(examples=[None])
    progress: JobProgressAnswer | None = Field(description="from its start on")
    report: FillReport | None = Field(description="once it succeeded", examples=[None])
    error: JobErrorAnswer | None = Field(description="once it failed", examples=[None])


class JobsAnswer(BaseModel):
    """The newest first; of those that have ended, the last JOBS_KEPT."""

    jobs: list[JobAnswer]
