"""Files and folders that are there whole or not at all, also after a power cut."""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from safetensors import SafetensorError

from model_store.errors import StoreError

READABLE = 0o644


def write_text_atomically(path: Path, text: str) -> None:
    """Replace a file's content in one step, by text in UTF-8."""
    write_bytes_atomically(path, text.encode())


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Replace a file's content in one step."""
    with replaced_file(path) as file:
        file.write(content)


@contextmanager
def replaced_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that has its name once it is written whole; after an error nothing of it is left.

    Its folder is made where it is missing, a symbolic link stays one, and a device or a pipe is written directly.
    """
    if path.exists() and not path.is_file():
        # A pipe that nobody reads is an error, not a reason to wait.
        with open(path, "wb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as device:
            os.set_blocking(device.fileno(), True)
            yield device
        return
    # Unlike `resolve`, `realpath` leaves a loop of links to the call that opens it.
    with replaced_path(Path(os.path.realpath(path))) as temporary, temporary.open("wb") as file:
        yield file


@contextmanager
def replaced_path(path: Path, *, one_writer: bool = False) -> Iterator[Path]:
    """A place to write a file's new content to: at the end it becomes the file, in one step; on an error it goes.

        with replaced_path(path) as temporary:
            save_file(tensors, temporary)

    Args:
        one_writer: no other process writes the file. What a killed one left is then overwritten, where it would
            otherwise stay beside it: for large files.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{'partial' if one_writer else uuid.uuid4().hex}")
    try:
        with _machine_errors(path):
            yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_json(path: Path, content: object) -> None:
    """Replace a JSON file in one step; its folder is made where it is missing.

    Raises:
        ValueError: a number that JSON does not have (NaN, infinity).
    """
    write_text_atomically(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name that no file can have is none (NUL, too long, below a file)."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def read_json(path: Path) -> dict[str, object] | None:
    """The JSON object in a file, None where there is no such file.

    Raises:
        StoreError: it is damaged.
    """
    if not path.is_file():
        return None
    with reading_back(path):
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise TypeError("no JSON object")
        return content


@contextmanager
def reading_back(path: Path, remedy: str = "remove it, and the same command makes it anew") -> Iterator[None]:
    """While a file of our own is read: what damage makes the readers raise becomes an error that names the file.

    Raises:
        StoreError: the file was cut off, changed or cannot be read.
    """
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        raise StoreError(f"{path}: is damaged or cannot be read ({reason}): {remedy}") from error


@contextmanager
def _machine_errors(path: Path) -> Iterator[None]:
    """What safetensors raises where a file cannot be written, as on a full disk, becomes the OSError it is."""
    try:
        yield
    except SafetensorError as error:
        found = re.search(r"\(os error (\d+)\)", str(error))
        if found is None:
            raise
        number = int(found[1])
        raise OSError(number, os.strerror(number), str(path)) from error


def sync_tree(folder: Path) -> None:
    """Bring every file and folder below `folder` to the disk, and make the files readable."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            path.chmod(READABLE)
            with path.open("rb") as file:
                os.fsync(file.fileno())
        elif path.is_dir():
            sync_folder(path)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def temporary_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder on the parent's file system; removed at the end unless it was renamed away."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / f"{prefix}{uuid.uuid4().hex}"
    folder.mkdir()
    try:
        with _machine_errors(folder):
            yield folder
    finally:
        if folder.exists():
            shutil.rmtree(folder)
