"""A translator that asks its cache first, and shows how long the rest takes."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from training.process_rank import IS_FIRST_PROCESS
from training.translation.base import Translator, pair_name, translate_distinct
from training.translation.cache import TranslationCache, translation_key

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
        with _progress(self._console, shown=len(missing) >= SHOW_PROGRESS_FROM) as progress:
            task = progress.add_task(
                f"Translating {pair_name(self.source, self.target)} with {self.name}", total=len(missing)
            )
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


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.0f} texts/s" if task.speed else "", style="progress.data.speed")


def _progress(console: Console, *, shown: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not shown,
    )
