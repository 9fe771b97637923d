"""A command line run in this process: torch takes seconds to import, and what it refuses needs no process."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence

import pytest
import typer

from model_store.cli import run


def run_in_process(
    app: typer.Typer,
    arguments: Sequence[str],
    settings: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `python -m ...` with these arguments and settings."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["command", *arguments])
    capsys.readouterr()
    handlers = logging.root.handlers[:]
    with pytest.raises(SystemExit) as exit_:
        run(app)
    logging.root.handlers[:] = handlers  # the command's own write to a stream that ends with this test
    captured = capsys.readouterr()
    return int(exit_.value.code or 0), captured.out, captured.err
