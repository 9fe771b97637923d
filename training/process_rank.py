"""Which of several processes of one training this is, before they have met."""

from __future__ import annotations

import os

IS_FIRST_PROCESS = (os.environ.get("RANK") or "0") == "0"
"""The first process prints; `RANK` is what torchrun and `accelerate launch` set."""
