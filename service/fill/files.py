"""Files that a fill keeps in FILL_FOLDER: where they cannot be written, the error names the setting."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from model_store.errors import ConfigurationError


@contextmanager
def fill_folder_named() -> Iterator[None]:
    """Raises ConfigurationError, which names the setting, where the folder cannot be written."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"setting FILL_FOLDER: {error}; make room, or choose a folder that can be written"
        ) from error


class ResumedFile:
    """A file that is written from where a checkpoint says.

    Args:
        path: the file; its folder is made where it is missing.
        size: bytes of it that count; what is there of it beyond is cut off.

    Raises:
        ConfigurationError: FILL_FOLDER cannot be written (also by every method but `close`), or there is less
            than `size`.
    """

    def __init__(self, path: Path, size: int = 0) -> None:
        with fill_folder_named():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("r+b" if size else "wb")
            found = os.fstat(self._file.fileno()).st_size
            if size <= found:
                self._file.truncate(size)
                self._file.seek(size)
                return
        self.close()
        raise ConfigurationError(
            f"setting FILL_FOLDER: {path} has {found} bytes, the checkpoint of its fill knows {size}; run the "
            "same command with --restart"
        )

    def write(self, content: bytes) -> int:
        """Write, at once or with what comes later; the number of bytes."""
        with fill_folder_named():
            return self._file.write(content)

    def flush(self) -> None:
        """Let readers of the file see everything."""
        with fill_folder_named():
            self._file.flush()

    def sync(self) -> None:
        """Bring everything to the disk, so that a power cut leaves it there."""
        with fill_folder_named():
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Write no more. What counts was brought to the disk before, by `sync`: the rest may be lost."""
        with suppress(OSError):
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
