from __future__ import annotations

import io
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from model_store.errors import ConfigurationError, InputError, TranslationError
from tests.support import REPOSITORY
from tests.support.training.tiny_marian import CountingTranslator
from training.translation import CachedTranslator, TranslationCache
from training.translation.cache import FILE_NAME, translation_key

KILLED_IN_A_WRITE = """
import sys
from pathlib import Path
from training.translation import TranslationCache
cache = TranslationCache(Path(sys.argv[1]))
cache.keep([(b"whole", "kept")])
def half_a_batch():
    yield b"half", "lost"
    print("writing", flush=True)
    sys.stdin.read()
    yield b"rest", "lost"
cache.keep(half_a_batch())
"""

WRITER = """
import sys
from pathlib import Path
from training.translation import TranslationCache
sys.stdin.readline()
with TranslationCache(Path(sys.argv[1])) as cache:
    for number in range(int(sys.argv[2]), int(sys.argv[3])):
        cache.keep([(str(number).encode(), f"translation {number}")])
"""


def run_python(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )


def test_what_was_kept_is_found_by_the_next_process(tmp_path: Path) -> None:
    with TranslationCache(tmp_path / "new" / "folder") as cache:
        cache.keep([(b"1", "uno"), (b"2", "二つ")])
    with TranslationCache(tmp_path / "new" / "folder") as cache:
        assert cache.find([b"2", b"3", b"1"]) == {b"1": "uno", b"2": "二つ"}
        assert len(cache) == 2


def test_more_keys_than_one_query_takes_are_found(tmp_path: Path) -> None:
    with TranslationCache(tmp_path) as cache:
        entries = [(str(number).encode(), str(number)) for number in range(3000)]
        cache.keep(entries)
        assert cache.find([key for key, _ in entries]) == dict(entries)


def test_a_kept_translation_is_never_replaced(tmp_path: Path) -> None:
    with TranslationCache(tmp_path) as cache:
        cache.keep([(b"1", "first")])
        cache.keep([(b"1", "second"), (b"2", "other")])
        assert cache.find([b"1", b"2"]) == {b"1": "first", b"2": "other"}


def test_a_write_that_fails_leaves_nothing_of_its_batch(tmp_path: Path) -> None:
    def failing() -> Iterator[tuple[bytes, str]]:
        yield b"1", "uno"
        raise KeyboardInterrupt

    with TranslationCache(tmp_path) as cache:
        with pytest.raises(KeyboardInterrupt):
            cache.keep(failing())
        assert cache.find([b"1"]) == {}
        cache.keep([(b"1", "again")])
        assert cache.find([b"1"]) == {b"1": "again"}


def test_a_process_killed_in_a_write_leaves_whole_batches_only(tmp_path: Path) -> None:
    with run_python(KILLED_IN_A_WRITE, tmp_path) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "writing\n"
        child.send_signal(signal.SIGKILL)
    with TranslationCache(tmp_path) as cache:
        assert cache.find([b"whole", b"half", b"rest"]) == {b"whole": "kept"}
        cache.keep([(b"half", "now")])
        assert len(cache) == 2


def test_two_processes_start_and_write_at_once_without_losing_anything(tmp_path: Path) -> None:
    children = [run_python(WRITER, tmp_path, start, start + 200) for start in (0, 100)]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        child.communicate()
        assert child.returncode == 0
    with TranslationCache(tmp_path) as cache:
        assert len(cache) == 300
        assert cache.find([b"150"]) == {b"150": "translation 150"}
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database, but long enough to have a header" * 50)
    with pytest.raises(TranslationError, match=rf"{FILE_NAME}.*remove it to translate again"):
        TranslationCache(tmp_path)


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).touch()
    with pytest.raises(TranslationError, match="version 0"):
        TranslationCache(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigurationError, match="choose a folder that can be written"):
        TranslationCache(tmp_path / "file" / "cache")


def test_translator_languages_and_text_all_tell_translations_apart() -> None:
    keys = {
        translation_key("a", "en", "es", "x"),
        translation_key("b", "en", "es", "x"),
        translation_key("a", "es", "en", "x"),
        translation_key("a", "en", "es", "y"),
        translation_key("a", "en", "ese", "x"),
    }
    assert len(keys) == 5


KILLED_IN_THE_FOURTH_BATCH = """
import sys
from pathlib import Path
from tests.support.training.tiny_marian import CountingTranslator
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
