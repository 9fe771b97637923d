"""Translations kept on disk by content, so that a second run translates nothing.

One SQLite file in write-ahead mode: a process that is killed in the middle of a write leaves what was
committed before it, and several processes may read and write at once. The folder must be on a local disk:
write-ahead mode needs memory shared between the processes, which network file systems do not give.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console

from model_store.errors import ConfigurationError, TranslationError
from training.console import ProgressBar
from training.settings import IS_FIRST_PROCESS
from training.translation.base import Translator, pair_name, translate_distinct

DEFAULT_BATCH_SIZE = 256
SHOW_PROGRESS_FROM = 300


class CachedTranslator:
    """`translator`, but each text is translated once and then kept in `cache`.

    Every finished batch is written before the next one starts, so a run that is stopped goes on where it was.

    Args:
        translator: the engine asked for what the cache does not have.
        cache: shared with other translators: a translation's key holds the engine's name and language pair.
        batch_size: texts a batch.
        console: where the progress bar goes if at least `SHOW_PROGRESS_FROM` texts are missing; standard
            error by default.
    """

    def __init__(
        self,
        translator: Translator,
        cache: TranslationCache,
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        console: Console | None = None,
    ) -> None:
        self.name = translator.name
        self.source = translator.source
        self.target = translator.target
        self._translator = translator
        self._cache = cache
        self._batch_size = batch_size
        self._console = console or Console(stderr=True, quiet=not IS_FIRST_PROCESS)

    def translate(self, texts: Sequence[str]) -> list[str]:
        """As `Translator.translate`; only texts that the cache lacks reach the engine."""
        return translate_distinct(texts, self, self._translate_distinct)

    def _translate_distinct(self, texts: list[str]) -> list[str]:
        keys = [translation_key(self.name, self.source, self.target, text) for text in texts]
        found = self._cache.find(keys)
        missing = [(key, text) for key, text in zip(keys, texts, strict=True) if key not in found]
        with ProgressBar(self._console, shown=len(missing) >= SHOW_PROGRESS_FROM) as progress:
            description = f"Translating {pair_name(self.source, self.target)} with {self.name}"
            task = progress.add(description, total=len(missing), unit="texts")
            for start in range(0, len(missing), self._batch_size):
                batch = missing[start : start + self._batch_size]
                found.update(self._translate_and_keep(batch))
                progress.advance(task, len(batch))
        return [found[key] for key in keys]

    def _translate_and_keep(self, batch: Sequence[tuple[bytes, str]]) -> list[tuple[bytes, str]]:
        texts = [text for _, text in batch]
        translations = translate_distinct(texts, self._translator, self._translator.translate)
        kept = [(key, translation) for (key, _), translation in zip(batch, translations, strict=True)]
        self._cache.keep(kept)
        return kept


FILE_NAME = "translations.sqlite3"
_KEYS_A_QUERY = 500
_SECONDS_TO_WAIT_FOR_A_WRITER = 120.0
_SCHEMA_VERSION = 1


def translation_key(name: str, source: str, target: str, text: str) -> bytes:
    """The 32 bytes under which a translation is kept: sha256 of translator, language pair and text."""
    # No accepted text holds a NUL, so no two different lists of parts join to the same string.
    return hashlib.sha256("\0".join((name, source, target, text)).encode()).digest()


class TranslationCache:
    """Translations of all language pairs and translators in one folder.

    Args:
        folder: made if it does not exist; several processes may use it at once.

    Raises:
        ConfigurationError: the folder cannot be made or written.
        TranslationError: the file in it is damaged or of another version.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not self.path.exists():
                _create(self.path)
            self._connection = sqlite3.connect(
                self.path, timeout=_SECONDS_TO_WAIT_FOR_A_WRITER, isolation_level="IMMEDIATE"
            )
        except (OSError, sqlite3.OperationalError) as error:
            raise ConfigurationError(
                f"translations cannot be kept in {folder}: {error}; choose a folder that can be written"
            ) from error
        try:
            self._check_version()
        except TranslationError:
            self.close()
            raise

    def find(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        """The kept translations among `keys`; those that are missing are left out."""
        found: dict[bytes, str] = {}
        with self._naming_the_file():
            for start in range(0, len(keys), _KEYS_A_QUERY):
                chunk = keys[start : start + _KEYS_A_QUERY]
                marks = ",".join("?" * len(chunk))
                query = f"SELECT key, text FROM translation WHERE key IN ({marks})"  # noqa: S608 - marks only
                found.update(self._connection.execute(query, chunk))
        return found

    def keep(self, translations: Iterable[tuple[bytes, str]]) -> None:
        """Write all of `translations` or, if the process dies meanwhile, none of them.

        A key that is there already keeps its text.
        """
        with self._naming_the_file(), self._connection:
            self._connection.executemany("INSERT OR IGNORE INTO translation VALUES (?, ?)", translations)

    def __len__(self) -> int:
        with self._naming_the_file():
            count: int = self._connection.execute("SELECT count(*) FROM translation").fetchone()[0]
        return count

    def close(self) -> None:
        """Close the file; the cache cannot be used afterwards."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_version(self) -> None:
        with self._naming_the_file():
            version: int = self._connection.execute("PRAGMA user_version").fetchone()[0]
            self._connection.execute("PRAGMA synchronous = NORMAL")
        if version != _SCHEMA_VERSION:
            raise TranslationError(
                f"{self.path} has version {version} of the translation cache, this program reads "
                f"{_SCHEMA_VERSION}: choose another folder, or remove the file to translate again"
            )

    @contextlib.contextmanager
    def _naming_the_file(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise TranslationError(
                f"{self.path} cannot be used as a translation cache: {error}; "
                "if it is damaged, remove it to translate again"
            ) from error


def _create(path: Path) -> None:
    """Make the empty file under another name, then link it: two processes that start at once share one.

    Switching a file that others have open to write-ahead mode fails, so it happens before it has its name.
    """
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        with contextlib.closing(sqlite3.connect(part, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(
                "CREATE TABLE translation (key BLOB PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID"
            )
            connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
        with contextlib.suppress(FileExistsError):
            os.link(part, path)
    finally:
        part.unlink(missing_ok=True)
