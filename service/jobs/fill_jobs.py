"""Fills that are asked for over HTTP, beside the requests that are answered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from service.cache.store import opened_cache
from service.engine.batching.micro_batching import MicroBatching
from service.engine.scorer import Scorer
from service.engine.versions.served import ServedModel
from service.fill.job import FillJob
from service.fill.options import FillOptions
from service.fill.report.report import FillReport
from service.fill.target import FillTarget, checked_threshold
from service.jobs.folder import CandidateFolder, JobsNotConfiguredError
from service.jobs.job import FillRequest, Job
from service.jobs.queue import JobQueue, run_in_thread_loop
from service.observability.metrics import ServiceMetrics
from service.settings import ServiceSettings


class FillJobs:
    """A job computes on the thread that computes requests' batches, which come first.

    All else it does on a thread and with a connection of its own.
    """

    def __init__(
        self, settings: ServiceSettings, model: ServedModel, batching: MicroBatching, metrics: ServiceMetrics
    ) -> None:
        self._settings = settings
        self._model = model
        self._batching = batching
        self._metrics = metrics
        self._folder = CandidateFolder(settings.jobs_folder) if settings.jobs_folder else None
        self.queue = JobQueue(
            self._run,
            settings.jobs_waiting,
            settings.jobs_kept,
            lambda job: metrics.job_ended(job.request.marketplace, job.state),
        )

    @property
    def folder(self) -> CandidateFolder:
        """The folder whose files jobs may read.

        Raises:
            JobsNotConfiguredError: there is none.
        """
        if self._folder is None:
            raise JobsNotConfiguredError(
                "jobs are not configured: set JOBS_FOLDER to the folder with the files of candidates"
            )
        return self._folder

    def check_configured(self) -> None:
        """Whether there is such a folder.

        Raises:
            JobsNotConfiguredError: there is none.
        """
        _ = self.folder

    async def submit(
        self, marketplace: str, names: Sequence[str], traffic: str | None, options: FillOptions
    ) -> Job:
        """Check what can be checked at once, and let the job wait for its turn.

        Args:
            options: their `traffic` is filled in from the name.

        Raises:
            JobsNotConfiguredError: as `folder`.
            VersionNotFoundError: no model is loaded.
            InputError: an unknown marketplace, or a name that is wrong.
            ConfigurationError: the model version has no threshold for the marketplace.
            OverloadedError: too many jobs wait.
        """
        folder = self.folder
        checked_threshold(self._model.required_scorer(), marketplace)
        notes: list[str] = []
        paths, traffic_path = await asyncio.to_thread(self._paths, folder, names, traffic, notes)
        request = FillRequest(
            marketplace, tuple(names), tuple(paths), replace(options, traffic=traffic_path), traffic
        )
        job = Job(request, lambda pairs: self._metrics.filled(marketplace, pairs))
        for note in notes:
            job.progress.say(folder.shown(note))
        self.queue.submit(job)
        return job

    def _paths(
        self, folder: CandidateFolder, names: Sequence[str], traffic: str | None, notes: list[str]
    ) -> tuple[list[Path], Path | None]:
        paths = folder.paths(names, self._settings.fill_folder, notes.append)
        return paths, None if traffic is None else folder.path(traffic, "traffic")

    async def _run(self, job: Job) -> FillReport:
        scorer = self._model.required_scorer()
        report = await run_in_thread_loop(lambda: self._fill(job, scorer))
        return report.model_copy(update={"files": [self.folder.shown(name) for name in report.files]})

    async def _fill(self, job: Job, scorer: Scorer) -> FillReport:
        request = job.request
        async with opened_cache(self._settings) as cache:
            target = FillTarget(request.marketplace, scorer, cache, self._settings, self._batching)
            filling = FillJob(target, request.paths, request.options, job.progress)
            job.filling = filling
            return await filling.run()
