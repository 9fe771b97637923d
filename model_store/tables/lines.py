"""Text files, plain or gzipped, as numbered lines, many at once; what is not UTF-8 is found where it stands."""

from __future__ import annotations

import codecs
import gzip
import os
import stat
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import pyarrow as pa

from model_store.errors import InputError
from model_store.tables.values import encoding_problem

UNREADABLE = (OSError, EOFError, zlib.error, pa.ArrowException)
"""What reading a damaged file raises."""

_BLOCK_BYTES = 1 << 16
_GZIP_MAGIC = b"\x1f\x8b"
# UTF-32 comes first: its little-endian mark starts with the one of UTF-16.
_FOREIGN_STARTS = (
    (codecs.BOM_UTF32_LE, "UTF-32 (byte order mark)"),
    (codecs.BOM_UTF32_BE, "UTF-32 (byte order mark)"),
    (codecs.BOM_UTF16_LE, "UTF-16 (byte order mark)"),
    (codecs.BOM_UTF16_BE, "UTF-16 (byte order mark)"),
    (_GZIP_MAGIC, "gzip within gzip"),
    (b"PK\x03\x04", "a ZIP archive or an Excel file"),
    (b"PAR1", "a Parquet file"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
    (b"BZh", "compressed by bzip2"),
    (b"\xfd7zXZ", "compressed by xz"),
)
_LONGEST_START = 1024

NumberedLines = tuple[int, list[str], bool]
"""The 1-based number of the first line, the lines without their line feeds, and whether all are UTF-8.

Bytes that are not UTF-8 are lone surrogates, as Python's `surrogateescape` makes them.
"""


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What changes when a file's content does."""

    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> FileStamp:
        """The stamp of a file.

        Raises:
            InputError: no such file, or no regular one: a folder, a pipe or a device.
        """
        try:
            found = path.stat()
        except (OSError, ValueError) as error:
            raise unreadable(error, path) from error
        if not stat.S_ISREG(found.st_mode):
            what = "a folder" if stat.S_ISDIR(found.st_mode) else "no regular file; pipe it in, or copy it to one"
            raise InputError(f"cannot be read: it is {what}", source=str(path))
        return cls(found.st_size, found.st_mtime_ns)

    def check(self, path: Path, descriptor: int | None = None) -> None:
        """Whether the file at a path, or an open one, is still as it was.

        Raises:
            InputError: it changed.
        """
        try:
            found = path.stat() if descriptor is None else os.fstat(descriptor)
        except OSError as error:
            raise _changed(path) from error
        if (found.st_size, found.st_mtime_ns) != (self.size, self.modified_ns):
            raise _changed(path)


def _changed(path: Path) -> InputError:
    return InputError(
        "the file changed while it was read; let it be written to its end under another name, then rename it",
        source=str(path),
    )


class TextFile:
    """A text file; a name that ends in `.gz`, or a content that begins as gzip does, is read through gzip.

    Args:
        stamp: how the file has to be; as it is now if None.

    Raises:
        InputError: as `FileStamp.of`.
    """

    def __init__(self, path: Path, stamp: FileStamp | None = None) -> None:
        self.path = path
        self.stamp = stamp or FileStamp.of(path)
        self.position = 0

    def lines(self, after: int = 0) -> Iterator[NumberedLines]:
        """The lines behind line number `after`; `position` is the number of bytes read of the file.

        Raises:
            InputError: the file is not text, or changed. What `UNREADABLE` lists is raised as it is.
        """
        return numbered_lines(self.blocks(), after)

    def blocks(self) -> Iterator[bytes]:
        """The content in parts that end where a line ends.

        Raises:
            InputError: as `lines`.
        """
        with self.path.open("rb") as raw:
            self.stamp.check(self.path, raw.fileno())
            for block in whole_lines(_unzipped(raw)):
                if not self.position:
                    _check_start(block, self.path)
                self.position = raw.tell()
                yield block
            self.stamp.check(self.path, raw.fileno())


def iter_lines(path: Path) -> Iterator[tuple[int, str]]:
    r"""Yield (1-based line number, line without its end) of a UTF-8 file, with or without a byte order mark.

    Only `\n` and `\r\n` end a line: U+2028 and other separators that Unicode knows occur within titles.

    Raises:
        InputError: no such file, a damaged gzip file, or bytes that are not UTF-8; names file and line.
    """
    number = 0
    with reported(path):
        for first, lines, is_utf8 in TextFile(path).lines():
            for number, line in enumerate(lines, first):
                if not is_utf8 and (problem := encoding_problem(line)):
                    raise InputError(problem, source=str(path), row=number)
                yield number, line.removesuffix("\r")


def whole_lines(source: BufferedReader | gzip.GzipFile) -> Iterator[bytes]:
    """The file in parts that end where a line ends.

    What could be read is yielded before an error of the file is raised.
    """
    parts: list[bytes] = []
    while block := source.read1(_BLOCK_BYTES):
        end = block.rfind(b"\n") + 1
        if end:
            yield b"".join((*parts, block[:end]))
            parts = []
        parts.append(block[end:])
    if last := b"".join(parts):
        yield last


def numbered_lines(blocks: Iterable[bytes], after: int) -> Iterator[NumberedLines]:
    """The lines behind line number `after`; those before are counted, not decoded."""
    first = 1
    for block in blocks:
        following = first + block.count(b"\n") + (not block.endswith(b"\n"))
        if following > after + 1:
            content = (block.removeprefix(codecs.BOM_UTF8) if first == 1 else block).removesuffix(b"\n")
            try:
                text, is_utf8 = content.decode("utf-8"), True
            except UnicodeDecodeError:
                text, is_utf8 = content.decode("utf-8", "surrogateescape"), False
            skipped = max(after + 1 - first, 0)
            yield first + skipped, text.split("\n")[skipped:], is_utf8
        first = following


def count_lines(path: Path) -> int:
    """How many lines a file has; of a damaged file the number up to the damage, and one more."""
    lines, ended = 0, True
    try:
        with path.open("rb") as raw:
            file = _unzipped(raw)
            while block := file.read1(1 << 20):
                lines += block.count(b"\n")
                ended = block.endswith(b"\n")
    except UNREADABLE:
        return lines + 1
    return lines + (not ended)


def _unzipped(raw: BufferedReader) -> BufferedReader | gzip.GzipFile:
    is_zipped = raw.name.lower().endswith(".gz") or raw.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC)
    return gzip.GzipFile(fileobj=raw) if is_zipped else raw


def _check_start(block: bytes, path: Path) -> None:
    form = next((form for start, form in _FOREIGN_STARTS if block.startswith(start)), None)
    if form is None and b"\0" in block[:_LONGEST_START].split(b"\n", 1)[0]:
        form = "UTF-16 or no text at all (it has zero bytes)"
    if form is not None:
        raise InputError(f"the file is {form}, not UTF-8 text; save it as UTF-8", source=str(path), row=1)


def unreadable(error: Exception, path: Path, row: int | None = None) -> InputError:
    """The error of a file that cannot be read, or not to its end; `row` is where reading stopped."""
    reason = getattr(error, "strerror", None)
    detail = (str(error).splitlines() or [type(error).__name__])[0]
    if isinstance(error, gzip.BadGzipFile | EOFError | zlib.error):
        problem = f"the gzip file is damaged or cut off ({detail}); copy the file again"
    elif isinstance(error, pa.ArrowException) or (isinstance(error, OSError) and reason is None):
        # What Arrow cannot decode is an OSError without a number.
        problem = f"no readable Parquet file ({detail}); write it again, or copy the file again"
    else:
        problem = f"cannot be read ({reason or detail})"
    return InputError(problem, source=str(path), row=row)


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Turn what reading a damaged file raises into an InputError that names the file."""
    try:
        yield
    except UNREADABLE as error:
        raise unreadable(error, path) from error
