"""The dead-letter file of a fill: one JSON line for each row that could not be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

from model_store.errors import ConfigurationError
from service.fill.table_rows import BadRow


class RejectedRows:
    """Writes the file; it comes into being with the first bad row."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    @property
    def path(self) -> Path | None:
        """The file, or None if every row was good."""
        return self._path if self._file else None

    def add(self, source: Path, bad: BadRow) -> None:
        """Note one row with its number and the reason.

        Raises:
            ConfigurationError: FILL_FOLDER cannot be written.
        """
        if self._file is None:
            self._file = self._opened()
        line = {"file": str(source), "row": bad.row, "field": bad.field, "reason": bad.problem}
        self._file.write(json.dumps(line, ensure_ascii=False).encode("utf-8", "replace").decode() + "\n")

    def _opened(self) -> IO[str]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return self._path.open("w", encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(
                f"setting FILL_FOLDER: {error}; choose a folder that can be written"
            ) from error

    def close(self) -> None:
        """Write out what is buffered."""
        if self._file:
            self._file.close()
