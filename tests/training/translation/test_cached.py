from __future__ import annotations

import io
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from model_store.errors import InputError
from tests.support.repository import REPOSITORY
from tests.support.training.translators import CountingTranslator
from training.translation import CachedTranslator, TranslationCache

KILLED_IN_THE_FOURTH_BATCH = """
import sys
from pathlib import Path
from tests.support.training.translators import CountingTranslator
from training.translation import CachedTranslator, TranslationCache
class Blocking(CountingTranslator):
    def translate(self, texts):
        if len(self.batches) == 3:
            print("fourth", flush=True)
            sys.stdin.read()
        return super().translate(texts)
cached = CachedTranslator(Blocking(), TranslationCache(Path(sys.argv[1])), batch_size=10)
cached.translate([f"text {number}" for number in range(100)])
"""


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[TranslationCache]:
    with TranslationCache(tmp_path) as cache:
        yield cache


def test_a_second_run_translates_nothing(cache: TranslationCache) -> None:
    first, second = CountingTranslator(), CountingTranslator()
    texts = ["red dress", "", "shoes", "red dress"]
    assert CachedTranslator(first, cache).translate(texts) == CachedTranslator(second, cache).translate(texts)
    assert first.asked == ["red dress", "shoes"]
    assert second.asked == []


def test_only_texts_that_are_missing_reach_the_engine(cache: TranslationCache) -> None:
    CachedTranslator(CountingTranslator(), cache).translate(["a", "b"])
    translator = CountingTranslator()
    assert CachedTranslator(translator, cache).translate(["b", "c", "a"]) == ["es:B", "es:C", "es:A"]
    assert translator.asked == ["c"]


@pytest.mark.parametrize(
    "other",
    [
        CountingTranslator(name="other"),
        CountingTranslator(source="fr"),
        CountingTranslator(target="it"),
    ],
)
def test_another_engine_or_pair_finds_nothing(cache: TranslationCache, other: CountingTranslator) -> None:
    CachedTranslator(CountingTranslator(), cache).translate(["a"])
    CachedTranslator(other, cache).translate(["a"])
    assert other.asked == ["a"]


class Interrupted(CountingTranslator):
    def translate(self, texts: Sequence[str]) -> list[str]:
        if len(self.batches) == 2:
            raise KeyboardInterrupt
        return super().translate(texts)


def test_an_interrupted_run_goes_on_where_it_was(cache: TranslationCache) -> None:
    texts = [str(number) for number in range(10)]
    with pytest.raises(KeyboardInterrupt):
        CachedTranslator(Interrupted(), cache, batch_size=3).translate(texts)
    rest = CountingTranslator()
    CachedTranslator(rest, cache).translate(texts)
    assert rest.asked == ["6", "7", "8", "9"]


def test_a_killed_run_keeps_every_batch_it_finished(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED_IN_THE_FOURTH_BATCH, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "fourth\n"
        child.send_signal(signal.SIGKILL)
    with TranslationCache(tmp_path) as cache:
        assert len(cache) == 30


def test_long_work_shows_its_progress_with_the_rate(cache: TranslationCache) -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=160)
    texts = [str(number) for number in range(400)]
    CachedTranslator(CountingTranslator(), cache, console=console).translate(texts)
    assert "Translating en-es" in output.getvalue()
    assert "400/400" in output.getvalue()
    assert "texts/s" in output.getvalue()


def test_short_work_is_silent(cache: TranslationCache) -> None:
    output = io.StringIO()
    CachedTranslator(CountingTranslator(), cache, console=Console(file=output)).translate(["a", "b"])
    assert output.getvalue() == ""


def test_a_lone_surrogate_is_refused_before_anything_is_written(cache: TranslationCache) -> None:
    with pytest.raises(InputError, match=r"row 2.*lone surrogate"):
        CachedTranslator(CountingTranslator(), cache).translate(["a", "\ud800"])
    assert len(cache) == 0
