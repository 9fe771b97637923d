"""Standard output and standard error of commands: any text, in any encoding, also on a disk that is full."""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import IO, Any, TextIO, cast

from model_store.errors import RelevanceError


class OutputError(RelevanceError):
    """Standard output cannot be written: its disk is full, or its terminal is gone."""


@contextmanager
def checked_output() -> Iterator[None]:
    """Standard output raises `OutputError` where it cannot be written, and never fails by a text.

    A character that its encoding does not hold is printed as JSON escapes it, so that JSON stays what it is. In a
    process that was started without standard output nothing is printed.
    """
    if sys.stdout is None:
        yield
        return
    codecs.register_error("json_escapes", _json_escapes)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="json_escapes")
    with redirect_stdout(cast("IO[str]", _CheckedStream(sys.stdout))):
        yield


def print_news(text: str) -> None:
    """Print a text on standard error, as lines of its own; it is lost where that cannot be written."""
    if sys.stderr is not None:
        # Names of files may hold bytes that are no text in any encoding.
        shown = text.encode("utf-8", "backslashreplace").decode("utf-8")
        NewsStream(sys.stderr).write(f"{shown}\n")


class NewsStream:
    """A stream for news, such as standard error: where it cannot be written they are lost, and nothing fails."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write or lose a text."""
        try:
            return self._stream.write(text)
        except OSError:
            _discard(self._stream)
            return len(text)

    def flush(self) -> None:
        """Write out or lose what is buffered."""
        try:
            self._stream.flush()
        except OSError:
            _discard(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _CheckedStream:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        # typer tries out an empty text, and takes no notice of what that raises.
        if text == "":
            return 0
        with self._checked():
            return self._stream.write(text)

    def flush(self) -> None:
        with self._checked():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        # In ASCII typer would take the bytes below, and print a question mark for every other character.
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self._stream, name)

    @contextmanager
    def _checked(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            _discard(self._stream)
            # Whoever reads a pipe may have seen enough: typer ends the command without a word.
            if isinstance(error, BrokenPipeError):
                raise
            raise OutputError(
                f"standard output cannot be written ({error.strerror}); make room, or send it elsewhere"
            ) from error


def _discard(stream: TextIO) -> None:
    """Let a stream go nowhere from now on: what it holds would fail once more when the process ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def _json_escapes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end
