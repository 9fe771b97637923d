"""`training report`: tables and figures of a plan's finished runs."""

from __future__ import annotations

import shlex
from pathlib import Path

from training.commands.console import notes
from training.experiments.report.markdown import REPORT, write_report
from training.experiments.statistics.bootstrap import REPLICATES
from training.progress_bar import ProgressBar

FOLDER = "report"


def report_experiment(folder: Path, output: Path | None, replicates: int | None) -> None:
    """Write the report, and say where it is and what is missing."""
    target = output or folder / FOLDER
    command = ["python", "-m", "training", "report", str(folder)]
    command += ["--output", str(output)] if output else []
    command += ["--replicates", str(replicates)] if replicates else []
    with ProgressBar(notes) as progress:
        task = progress.add("paired bootstrap", total=None, unit="blocks")
        runs = write_report(
            folder,
            target,
            shlex.join(command),
            replicates or REPLICATES,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    missing = f"; {len(runs.missing)} planned runs are missing" if runs.missing else ""
    notes.print(f"{runs.name}: {len(runs.runs)} runs in {target / REPORT}{missing}")
