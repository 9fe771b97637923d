"""`python -m model_store`."""

from __future__ import annotations

from model_store.cli import app, run

if __name__ == "__main__":
    run(app)
