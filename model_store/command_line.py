"""Runs a command line: the one place that maps errors to messages and exit codes."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from model_store.errors import RelevanceError

INTERRUPTED = 130


def run(app: typer.Typer) -> NoReturn:
    """Run a typer application; a `RelevanceError` becomes its message on standard error and its exit code."""
    try:
        app(standalone_mode=True)
    except RelevanceError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command goes on where it stopped\n")
        sys.exit(INTERRUPTED)
    sys.exit(0)
