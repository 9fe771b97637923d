"""The dead-letter file of a fill: one JSON line for each row that could not be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

from model_store.tables.values import BadRow
from service.fill.files import ResumedFile, fill_folder_named


class RejectedRowsLog(Protocol):
    """Takes the rows that cannot be used."""

    @property
    def path(self) -> Path | None:
        """Where they are found afterwards, if there are any."""

    @property
    def size(self) -> int:
        """Bytes of that file."""

    def add(self, source: Path, bad: BadRow) -> None:
        """Note one row."""


class RejectedRows:
    """Writes the file; it comes into being with the first bad row.

    Args:
        path: the file.
        size: bytes of it that count, of a fill that goes on; what is behind them is cut off.

    Raises:
        ConfigurationError: FILL_FOLDER cannot be written.
    """

    def __init__(self, path: Path, size: int = 0) -> None:
        self._path = path
        self._file: ResumedFile | None = None
        self.size = size
        if size:
            self._file = ResumedFile(path, size)
            return
        with fill_folder_named():
            path.unlink(missing_ok=True)

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
            self._file = ResumedFile(self._path, self.size)
        line = {"file": str(source), "row": bad.row, "field": bad.field, "reason": bad.problem}
        self.size += self._file.write(json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n")

    def sync(self) -> None:
        """Bring to the disk what was noted."""
        if self._file:
            self._file.sync()

    def close(self) -> None:
        """Write out what is buffered."""
        if self._file:
            self._file.close()
