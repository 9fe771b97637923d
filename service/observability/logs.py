"""Logs on standard error: one JSON object a line, or text for people."""

from __future__ import annotations

import logging
import sys
from typing import Literal

from pythonjsonlogger.json import JsonFormatter

_TEXT = "%(levelname)s %(name)s: %(message)s"
_FIELDS = ["timestamp", "levelname", "name", "message"]


def configure_logs(level: str, log_format: Literal["json", "text"]) -> None:
    """Send the records of the whole process to standard error in this form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_json() if log_format == "json" else logging.Formatter(_TEXT))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Our own line about a request says more than uvicorn's.
    logging.getLogger("uvicorn.access").disabled = True


def _json() -> logging.Formatter:
    names = {"levelname": "level", "name": "logger"}
    return JsonFormatter(_FIELDS, rename_fields=names, timestamp=True, json_ensure_ascii=False)
