"""`python -m training`."""

from __future__ import annotations

from model_store.cli import run
from training.cli import app

if __name__ == "__main__":
    run(app)
