"""Writes tables as TSV in the one form that the product reads: a header, UTF-8, no quoting."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from model_store.errors import ConfigurationError
from model_store.files import replaced_file

_SEPARATORS = re.compile(r"[\t\r\n]+")


class TsvWriter:
    """A context manager that gives the file its name once it is written whole; after an error nothing is left.

    A field cannot hold a tab or the end of a line: each is written as a space.

    Args:
        path: the file; its folder is made where it is missing.
        columns: names of the columns.
        option: what named the file on the command line, for errors.

    Raises:
        ConfigurationError: the file cannot be written; also by `write` and in the end.
    """

    def __init__(self, path: Path, columns: Sequence[str], *, option: str = "--output") -> None:
        self._path = path
        self._columns = columns
        self._option = option
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with self._option_named():
            self._file = self._stack.enter_context(replaced_file(self._path))
        self.write(*self._columns)
        return self

    def write(self, *fields: str) -> None:
        """Write one row."""
        line = "\t".join(_SEPARATORS.sub(" ", field) for field in fields)
        with self._option_named():
            self._file.write(f"{line}\n".encode())

    def __exit__(self, *error: object) -> None:
        with self._option_named():
            self._stack.__exit__(*error)  # type: ignore[arg-type]

    @contextmanager
    def _option_named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConfigurationError(
                f"{self._option} {self._path}: {error.strerror}; make room, or choose a file that can be written"
            ) from error
