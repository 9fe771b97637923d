"""`python -m service`."""

from __future__ import annotations

from model_store.command_line import run
from service.cli import app

if __name__ == "__main__":
    run(app)
