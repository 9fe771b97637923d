"""`training merge`: parts of one plan as one output folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from training.commands.console import notes
from training.experiments.running.merge import merge_outputs


def merge_parts(output: Path, folders: Sequence[Path]) -> None:
    """Copy the finished runs of all folders into one."""
    new = merge_outputs(output, folders)
    notes.print(f"{new} runs copied into {output}")
