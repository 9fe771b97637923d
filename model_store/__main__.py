"""`python -m model_store`."""

from __future__ import annotations

from model_store.cli import app
from model_store.command_line import run

if __name__ == "__main__":
    run(app)
