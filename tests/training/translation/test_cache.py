from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_store.errors import ConfigurationError, TranslationError
from tests.support.repository import REPOSITORY
from training.translation import TranslationCache
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
