"""What commands print: any text in any encoding, and one line where a disk is full."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_store.errors import VersionNotFoundError
from model_store.output import _json_escapes
from tests.support import REPOSITORY

_ECHO = """
import json, sys, typer
from model_store.output import checked_output
with checked_output():
    typer.echo(json.dumps(json.loads(sys.argv[1]), ensure_ascii=False))
"""


def _command(*arguments: str, redirected: str = "", **settings: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", f'"$@" {redirected}', "command", sys.executable, *arguments],
        cwd=REPOSITORY,
        env={**os.environ, **settings},
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "cp1252", "shift_jis"])
def test_json_stays_json_in_every_encoding(encoding: str) -> None:
    texts = ["łódź", "caf\xe9", "日本", "a😀b", "a\udce9b", 'quo"te\\ and\ttab', "\x80\x9f"]
    done = _command("-c", _ECHO, json.dumps(texts), PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.decode(encoding)) == texts


@given(st.text(st.characters()))
def test_what_is_escaped_is_read_back_by_any_reader_of_json(text: str) -> None:
    error = UnicodeEncodeError("ascii", text, 0, len(text), "test")
    escaped, end = _json_escapes(error)
    assert escaped.isascii()
    assert end == len(text)
    assert json.loads(f'"{escaped}"') == json.loads(json.dumps(text))


@pytest.mark.parametrize("arguments", [("--help",), ("list", "--help"), ("list", "--json")])
def test_a_full_disk_under_standard_output_is_one_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = _command("-m", "model_store", *arguments, redirected="> /dev/full", MODEL_STORE=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == [
        "error: standard output cannot be written (No space left on device); make room, or send it elsewhere"
    ]


@pytest.mark.parametrize("redirected", ["", "2> /dev/full", ">&- 2>&-"])
def test_an_error_keeps_its_exit_code_wherever_it_is_printed(tmp_path: Path, redirected: str) -> None:
    done = _command("-m", "model_store", "latest", redirected=redirected, MODEL_STORE=str(tmp_path))
    assert done.returncode == VersionNotFoundError.exit_code
    assert b"Traceback" not in done.stderr


def test_a_reader_who_has_seen_enough_is_no_traceback(tmp_path: Path) -> None:
    done = _command("-m", "model_store", "list", "--help", redirected="| true", MODEL_STORE=str(tmp_path))
    assert done.returncode == 0
    assert done.stderr == b""
