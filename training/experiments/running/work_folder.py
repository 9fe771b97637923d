"""Where an unfinished run keeps what it goes on from."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model_store.errors import ConfigurationError
from model_store.files import read_json, write_json
from training.experiments.plan.planned_run import PlannedRun

WORK = "work"


@contextmanager
def work_folder(folder: Path, run: PlannedRun) -> Iterator[Path]:
    """A run's folder for checkpoints, for one process at a time; gone once the run is finished.

    What another configuration left in it is removed.

    Raises:
        ConfigurationError: another process is doing the run.
    """
    work = folder / WORK
    work.mkdir(parents=True, exist_ok=True)
    with (work / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(
                f"{folder}: another process is doing this run; wait until it ends"
            ) from error
        if read_json(work / "run.json") != run.decisive():
            _empty(work, keep=".lock")
            write_json(work / "run.json", run.decisive())
        yield work
        shutil.rmtree(work)


def _empty(folder: Path, keep: str) -> None:
    for path in folder.iterdir():
        if path.name == keep:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
