"""The model store: immutable, content-checked versions in a folder, and a pointer to the newest served one.

ROOT/versions/0001/            manifest.json and the version's files
ROOT/versions/0001.sha256      digest of manifest.json, outside of what it covers
ROOT/latest.json               history of promoted versions, the last one served; replaced atomically
ROOT/runs/RUN/                 what training keeps
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from model_store.errors import StoreError, VersionCorruptError, VersionNotFoundError
from model_store.files import sync_folder, sync_tree, temporary_folder, write_text_atomically
from model_store.versions.manifest import FileDigest, Manifest, ManifestDraft, PromotionDecision
from model_store.versions.promotion import DEFAULT_TOLERANCE, decide_promotion

MANIFEST = "manifest.json"
_VERSION = re.compile(r"[0-9]{4,18}")
_NUMBER = re.compile(r"[0-9]{1,18}")
_ALLOWED_SUFFIXES = (".safetensors", ".json", ".onnx")
_TEMPORARY = ".publishing-"
_ABANDONED_AFTER_SECONDS = 3600.0
_Numbers = list[int]


class _Pointer(BaseModel):
    """`latest.json`."""

    latest: int | None = None
    promoted: list[Annotated[int, Field(ge=1)]]


@dataclass(frozen=True, slots=True)
class PublishedVersion:
    """A version just published, and whether it is served from now on."""

    number: int
    path: Path
    decision: PromotionDecision


class ModelStore:
    """Versions below one folder. Several processes may publish and read at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._versions = root / "versions"
        self._pointer = root / "latest.json"

    def publish(
        self, draft: ManifestDraft, write: Callable[[Path], None], tolerance: float = DEFAULT_TOLERANCE
    ) -> PublishedVersion:
        """Write a new version, whole or not at all, and apply the promotion rule.

        Args:
            draft: the manifest but for number, digests and promotion.
            write: writes the version's files into the folder it is given.
            tolerance: loss of validation ROC-AUC that an older marketplace may suffer.

        Raises:
            StoreError: `write` left a file that may not be in a version.
            VersionNotFoundError: the draft's parent is not in the store.
        """
        self._remove_abandoned()
        with temporary_folder(self._versions, _TEMPORARY) as folder:
            write(folder)
            files = _digests(folder)
            with self._locked():
                number = max(self.numbers(), default=0) + 1
                parent = self.manifest(draft.parent) if draft.parent is not None else None
                decision = decide_promotion(draft, parent, self._served(), tolerance)
                manifest = Manifest.of(draft, number, decision, files)
                text = manifest.model_dump_json(indent=2) + "\n"
                (folder / MANIFEST).write_text(text, encoding="utf-8")
                sync_tree(folder)
                write_text_atomically(self._seal(number), hashlib.sha256(text.encode()).hexdigest() + "\n")
                folder.rename(self.path(number))
                sync_folder(self._versions)
                if decision.promoted:
                    self._point_to([*self._history(), number])
        return PublishedVersion(number, self.path(number), decision)

    def numbers(self) -> list[int]:
        """Numbers of all published versions, oldest first.

        Raises:
            StoreError: the store is no folder, or cannot be read.
        """
        try:
            if self.root.exists() and not self.root.is_dir():
                raise StoreError(
                    f"the model store {self.root} is no folder: name another one, or set MODEL_STORE"
                )
            if not self._versions.is_dir():
                return []
            return sorted(
                int(path.name)
                for path in self._versions.iterdir()
                if path.is_dir() and _VERSION.fullmatch(path.name)
            )
        except OSError as error:
            raise StoreError(f"the model store {self.root} cannot be read ({error.strerror})") from error

    def latest(self) -> int:
        """Number of the version that is served.

        Raises:
            VersionNotFoundError: none has been promoted yet.
        """
        history = self._history()
        if not history:
            raise VersionNotFoundError(
                f"the model store {self.root} has no promoted version: train one (python -m training continual) "
                "or set MODEL_STORE"
            )
        return history[-1]

    def resolve(self, version: str | int) -> int:
        """The number of `latest` or of a number as text.

        Raises:
            VersionNotFoundError: there is no such version.
        """
        if version == "latest":
            return self.latest()
        text = str(version)
        if not _NUMBER.fullmatch(text) or int(text) not in self.numbers():
            known = ", ".join(map(str, self.numbers())) or "none"
            raise VersionNotFoundError(
                f"the model store {self.root} has no version {text[:20]!r}; it has {known}"
            )
        return int(text)

    def path(self, number: int) -> Path:
        """A version's folder."""
        return self._versions / f"{number:04d}"

    def manifest(self, number: int) -> Manifest:
        """Read a version's manifest, checked against its seal.

        Raises:
            VersionNotFoundError: there is no such version.
            VersionCorruptError: the manifest was changed or cannot be read.
        """
        path = self.path(self.resolve(number)) / MANIFEST
        try:
            text = path.read_text(encoding="utf-8")
            seal = self._seal(number).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise VersionCorruptError(f"{path}: cannot be read ({error})") from error
        if hashlib.sha256(text.encode()).hexdigest() != seal:
            raise VersionCorruptError(f"{path}: its content is not what was published")
        try:
            manifest = Manifest.model_validate_json(text)
        except ValidationError as error:
            raise VersionCorruptError(
                f"{path}: {error.errors()[0]['loc']}: {error.errors()[0]['msg']}"
            ) from error
        if manifest.number != number:
            raise VersionCorruptError(f"{path}: is the manifest of version {manifest.number}")
        return manifest

    def verify(self, number: int) -> Manifest:
        """Check every file of a version: none missing, none added, sizes and contents as published.

        Raises:
            VersionCorruptError: names the first file that is wrong.
        """
        manifest = self.manifest(number)
        folder = self.path(number)
        found = _files(folder)
        found.pop(MANIFEST, None)
        for name, digest in manifest.files.items():
            path = found.pop(name, None)
            if path is None:
                raise VersionCorruptError(f"{folder / name}: is missing")
            if path.stat().st_size != digest.bytes:
                raise VersionCorruptError(
                    f"{path}: has {path.stat().st_size} bytes, published were {digest.bytes}"
                )
            if _sha256(path) != digest.sha256:
                raise VersionCorruptError(f"{path}: its content is not what was published")
        if found:
            raise VersionCorruptError(f"{next(iter(found.values()))}: is not part of the version")
        return manifest

    def promote(self, number: int) -> None:
        """Serve a version from now on, whatever the promotion rule said of it."""
        self.verify(self.resolve(number))
        with self._locked():
            self._point_to([*self._history(), number])

    def rollback(self) -> int:
        """Serve the version that was served before, and return its number.

        Raises:
            StoreError: none was served before.
        """
        if len(self._history()) < 2:
            raise StoreError(f"the model store {self.root} has no earlier promoted version to go back to")
        with self._locked():
            history = self._history()
            self.verify(history[-2])
            self._point_to(history[:-1])
            return history[-2]

    def _served(self) -> Manifest | None:
        history = self._history()
        return self.manifest(history[-1]) if history else None

    def _history(self) -> _Numbers:
        try:
            return _Pointer.model_validate_json(self._pointer.read_bytes(), strict=True).promoted
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            reason = str(error) if isinstance(error, OSError) else "it names no promoted versions"
            raise VersionCorruptError(
                f"{self._pointer}: cannot be read ({reason}); remove it, and promote a version to write it anew"
            ) from error

    def _point_to(self, history: _Numbers) -> None:
        write_text_atomically(self._pointer, json.dumps({"latest": history[-1], "promoted": history}) + "\n")

    def _seal(self, number: int) -> Path:
        return self._versions / f"{number:04d}.sha256"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._versions.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _remove_abandoned(self) -> None:
        if not self._versions.is_dir():
            return
        for path in self._versions.glob(f"{_TEMPORARY}*"):
            if time.time() - path.stat().st_mtime > _ABANDONED_AFTER_SECONDS:
                shutil.rmtree(path)


def _files(folder: Path) -> dict[str, Path]:
    """Files below a version's folder by relative name.

    Raises:
        VersionCorruptError: a link, or a file whose kind may not be in a version.
    """
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise VersionCorruptError(f"{path}: links may not be in a version")
        if path.is_file():
            if path.suffix not in _ALLOWED_SUFFIXES:
                raise VersionCorruptError(f"{path}: only {', '.join(_ALLOWED_SUFFIXES)} may be in a version")
            files[path.relative_to(folder).as_posix()] = path
    return files


def _digests(folder: Path) -> dict[str, FileDigest]:
    try:
        files = _files(folder)
    except VersionCorruptError as error:
        raise StoreError(f"cannot be published: {error}") from error
    return {name: FileDigest(sha256=_sha256(path), bytes=path.stat().st_size) for name, path in files.items()}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
