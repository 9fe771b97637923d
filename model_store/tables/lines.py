"""UTF-8 text line by line, plain or gzipped, with the place of whatever is not UTF-8."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from model_store.errors import InputError

# UTF-32 comes first: its little-endian mark starts with the one of UTF-16.
_FOREIGN_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def iter_lines(path: Path) -> Iterator[tuple[int, str]]:
    r"""Yield (1-based line number, line without its end) of a UTF-8 file, with or without a byte order mark.

    Only `\n` and `\r\n` end a line: U+2028 and other separators that Unicode knows occur within titles.
    A name that ends in `.gz` is read through gzip.

    Raises:
        InputError: no such file, a damaged gzip file, or bytes that are not UTF-8; names file, line and byte.
    """
    offset = 0
    for number, raw in enumerate(_raw_lines(path), start=1):
        line = _without_mark(raw, path) if number == 1 else raw
        yield number, _decoded(line, path, number, offset + len(raw) - len(line))
        offset += len(raw)


def _raw_lines(path: Path) -> Iterator[bytes]:
    try:
        with _opened(path) as file:
            yield from file
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(
            f"the gzip file is damaged or cut off ({error}); copy it again", source=str(path)
        ) from error
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", source=str(path)) from error


def _opened(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return cast("BinaryIO", gzip.open(path, "rb"))
    return path.open("rb")


def _without_mark(first: bytes, path: Path) -> bytes:
    for mark, name in _FOREIGN_MARKS:
        if first.startswith(mark):
            raise InputError(
                f"the file is {name} (byte order mark at byte 0), not UTF-8; save it as UTF-8",
                source=str(path),
                row=1,
            )
    return first.removeprefix(codecs.BOM_UTF8)


def _decoded(line: bytes, path: Path, number: int, offset: int) -> str:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"byte 0x{line[error.start]:02x} at offset {offset + error.start} is not UTF-8; "
            "save the file as UTF-8, in one encoding throughout",
            source=str(path),
            row=number,
        ) from error
    return text.removesuffix("\n").removesuffix("\r")
