"""Where commands print: results on standard output, progress and notes on standard error.

Of several processes of one training the first prints.
"""

from __future__ import annotations

from rich.console import Console

from training.settings import IS_FIRST_PROCESS

results = Console(highlight=False, quiet=not IS_FIRST_PROCESS)
notes = Console(stderr=True, highlight=False, quiet=not IS_FIRST_PROCESS)
