"""Where commands print: results on standard output, progress and notes on standard error."""

from __future__ import annotations

from rich.console import Console

results = Console(highlight=False)
notes = Console(stderr=True, highlight=False)
