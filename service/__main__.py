"""`python -m service`."""

from __future__ import annotations

from model_store.cli import run
from service.cli import app
from service.engine.options import bound_onednn_caches

if __name__ == "__main__":
    bound_onednn_caches()
    run(app)
