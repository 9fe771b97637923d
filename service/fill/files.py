"""A file of a fill that is written from where its checkpoint says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from model_store.errors import ConfigurationError


def resumed_file(path: Path, size: int) -> IO[bytes]:
    """Open a file for writing behind its first `size` bytes; what is there of it beyond is cut off.

    Raises:
        ConfigurationError: FILL_FOLDER cannot be written.
    """
    with fill_folder_named():
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("r+b" if size else "wb")
    file.truncate(size)
    file.seek(size)
    return file


def brought_to_disk(file: IO[bytes]) -> None:
    """So that a power cut leaves it as it is."""
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def fill_folder_named() -> Iterator[None]:
    """Raises ConfigurationError, which names the setting, where the folder cannot be written."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"setting FILL_FOLDER: {error}; choose a folder that can be written") from error
