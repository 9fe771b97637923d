"""Standard input as a file of its own, which a fill can read several times and go on in."""

from __future__ import annotations

import fcntl
import hashlib
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Literal

from model_store.errors import ConfigurationError, InputError
from model_store.files import sync_folder

StandardInputForm = Literal["tsv", "csv", "jsonl", "parquet"]

_PREFIX = "stdin-"
_GZIP_MAGIC = b"\x1f\x8b"
_PART_BYTES = 1 << 20
_DIGEST_BYTES = 16


def copied_standard_input(stream: IO[bytes], fill_folder: Path, form: StandardInputForm) -> Path:
    """Copy the whole stream to `FILL_FOLDER/stdin-DIGEST.FORM`; with .gz if it begins as gzip does.

    The same content has the same name, so that a fill that was killed and is started again goes on.

    Raises:
        InputError: a terminal, nothing at all, a compressed Parquet file, or the stream cannot be read.
        ConfigurationError: FILL_FOLDER cannot be written.
    """
    if stream.isatty():
        raise InputError("standard input is a terminal; pipe the candidates into it", source="-")
    try:
        fill_folder.mkdir(parents=True, exist_ok=True)
        with _temporary_file(fill_folder) as temporary:
            start, digest = _copy(stream, temporary)
            path = fill_folder / f"{_PREFIX}{digest}{_suffix(start, form)}"
            # The name says what is in it, at whatever time it was copied: a fill of it goes on.
            os.utime(temporary.name, (0, 0))
            Path(temporary.name).replace(path)
        sync_folder(fill_folder)
    except OSError as error:
        raise ConfigurationError(f"setting FILL_FOLDER: {error}; choose a folder that can be written") from error
    return path


def remove_copies(paths: Iterable[Path], fill_folder: Path) -> None:
    """Remove those of the paths that are copies of standard input."""
    for path in paths:
        if path.parent == fill_folder and path.name.startswith(_PREFIX):
            path.unlink(missing_ok=True)


@contextmanager
def _temporary_file(folder: Path) -> Iterator[IO[bytes]]:
    """A new file, removed at the end unless it was renamed; those that killed processes left are removed too.

    A file that is locked belongs to a process that lives. The folder is locked from the making of the file to
    its lock.
    """
    path = folder / f".{_PREFIX}{uuid.uuid4().hex}"
    with ExitStack() as stack:
        with _locked_folder(folder):
            for other in folder.glob(f".{_PREFIX}*"):
                _remove_if_left(other)
            stack.callback(path.unlink, missing_ok=True)
            file = stack.enter_context(path.open("xb"))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file


@contextmanager
def _locked_folder(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_if_left(path: Path) -> None:
    # It may have been renamed meanwhile.
    with suppress(FileNotFoundError), path.open("rb") as file, suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()


def _copy(stream: IO[bytes], file: IO[bytes]) -> tuple[bytes, str]:
    """The first bytes and the digest of what was copied."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    start = b""
    while part := _read(stream):
        start = start or part[: len(_GZIP_MAGIC)]
        digest.update(part)
        file.write(part)
    file.flush()
    os.fsync(file.fileno())
    return start, digest.hexdigest()


def _read(stream: IO[bytes]) -> bytes:
    try:
        return stream.read(_PART_BYTES)
    except OSError as error:
        raise InputError(f"standard input cannot be read ({error.strerror})", source="-") from error


def _suffix(start: bytes, form: StandardInputForm) -> str:
    if not start:
        raise InputError("standard input is empty", source="-")
    compressed = start == _GZIP_MAGIC
    if compressed and form == "parquet":
        raise InputError("compressed by gzip, which Parquet files are not; decompress it", source="-")
    return f".{form}.gz" if compressed else f".{form}"
