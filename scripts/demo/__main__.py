"""`python -m scripts.demo`."""

from __future__ import annotations

import signal

from model_store.cli import run
from scripts.demo.command import app

if __name__ == "__main__":
    # As Ctrl-C does, so that the service is stopped as well.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    run(app)
