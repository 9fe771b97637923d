"""`/jobs`: fills of the offline cache that the service does beside its requests."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from starlette.exceptions import HTTPException

from model_store.errors import RelevanceError
from model_store.text import checked_marketplace
from service.api.errors import answers
from service.api.middleware.request_body import JsonBodyRoute
from service.api.middleware.request_line import prefix_of
from service.api.schemas.jobs import FillJobRequest, JobAnswer, JobErrorAnswer, JobProgressAnswer, JobsAnswer
from service.fill.options import FillOptions
from service.jobs.fill_jobs import FillJobs
from service.jobs.folder import CandidateFolder
from service.jobs.job import Job
from service.state import State

router = APIRouter(route_class=JsonBodyRoute, prefix="/jobs", tags=["jobs"])

JobId = Annotated[str, Path(max_length=64, examples=["20261124T102609-1a6e93f0"])]


@router.post(
    "/fill",
    status_code=202,
    summary="Fill the offline cache",
    responses=answers(400, 403, 404, 408, 409, 413, 415, 422, 429, 503),
)
async def fill(body: FillJobRequest, request: Request, state: State, response: Response) -> JobAnswer:
    """Score candidates of files below JOBS_FOLDER into a new generation, verify it, let readers see it.

    Jobs of a marketplace run one after another. A job that was interrupted, as the service ended, goes on from
    its last checkpoint when it is posted again.
    """
    options = FillOptions(
        coverage=body.coverage,
        dry_run=body.dry_run,
        accept_changes=body.accept_changes,
        restart=body.restart,
    )
    name = checked_marketplace(body.marketplace)
    job = await state.jobs.submit(name, body.candidates, body.traffic, options)
    response.headers["Location"] = f"{prefix_of(request.scope)}/jobs/{job.id}"
    return _answer(job, state.jobs.folder)


@router.get("", summary="List jobs", responses=answers(404))
async def jobs(state: State) -> JobsAnswer:
    """Jobs that wait, run, or ended lately. They are forgotten when the service ends."""
    folder = state.jobs.folder
    return JobsAnswer(jobs=[_answer(job, folder) for job in state.jobs.queue.all()])


@router.get("/{job_id}", summary="Show a job", responses=answers(404, 422))
async def job(state: State, job_id: JobId) -> JobAnswer:
    """State, progress, and in the end the report or the error."""
    return _answer(_found(state.jobs, job_id), state.jobs.folder)


@router.delete("/{job_id}", status_code=202, summary="Cancel a job", responses=answers(403, 404, 409, 422))
async def cancel(state: State, job_id: JobId) -> JobAnswer:
    """Stop a job and remove what it wrote; the cache is as it was. It is `cancelling` until that is done.

    409: it has ended, or readers are about to see what it made.
    """
    found = _found(state.jobs, job_id)
    if not state.jobs.queue.cancel(found):
        why = f"has {found.state}" if found.has_ended else "lets readers see what it made at this moment"
        raise HTTPException(409, f"job {job_id} {why}; it cannot be cancelled any more")
    return _answer(found, state.jobs.folder)


def _found(jobs: FillJobs, job_id: str) -> Job:
    jobs.check_configured()
    known = jobs.queue.find(job_id)
    if known is None:
        raise HTTPException(404, f"there is no job {job_id[:64]!r}, or it ended long ago; GET /jobs lists them")
    return known


def _answer(job: Job, folder: CandidateFolder) -> JobAnswer:
    request, options = job.request, job.request.options
    return JobAnswer(
        id=job.id,
        state=job.state,
        request=FillJobRequest(
            marketplace=request.marketplace,
            candidates=list(request.names),
            traffic=request.traffic_name,
            coverage=options.coverage,
            dry_run=options.dry_run,
            accept_changes=options.accept_changes,
            restart=options.restart,
        ),
        created_at=job.created_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
        progress=_progress(job) if job.started_at else None,
        report=job.report,
        error=_error(job.error, folder) if job.error else None,
    )


def _progress(job: Job) -> JobProgressAnswer:
    snapshot = job.progress.snapshot
    counts = snapshot.counts
    return JobProgressAnswer(
        stage=snapshot.stage,
        rows=counts.rows,
        scored=counts.scored,
        kept=counts.kept,
        kept_share=counts.kept_share,
        share_read=snapshot.share_read,
        pairs_per_second=snapshot.pairs_per_second,
        seconds_left=snapshot.seconds_left,
        note=snapshot.note,
    )


def _error(error: BaseException, folder: CandidateFolder) -> JobErrorAnswer:
    if isinstance(error, RelevanceError):
        return JobErrorAnswer(
            detail=folder.shown(str(error)), type=type(error).__name__, exit_code=error.exit_code
        )
    detail = "the service failed on this job; its log has the reason under the job's id"
    return JobErrorAnswer(detail=detail, type=type(error).__name__, exit_code=RelevanceError.exit_code)
