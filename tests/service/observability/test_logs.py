from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from service.observability.logs import configure_logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_json_lines_have_what_was_noted(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    logging.getLogger("service").info("GET %s", "/model", extra={"request_id": "r1", "seconds": 0.5})
    logging.getLogger("service").debug("not this")
    (line,) = capsys.readouterr().err.splitlines()
    content = json.loads(line)
    assert content.pop("timestamp").startswith("20")
    assert content == {
        "level": "INFO",
        "logger": "service",
        "message": "GET /model",
        "request_id": "r1",
        "seconds": 0.5,
    }


def test_an_exception_stays_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    try:
        raise ValueError("broken\nin two")  # noqa: TRY301 - what is logged
    except ValueError:
        logging.getLogger("service").exception("failed")
    (line,) = capsys.readouterr().err.splitlines()
    assert "broken\nin two" in json.loads(line)["exc_info"]


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("warning", "text")
    logging.getLogger("service").warning("careful")
    assert capsys.readouterr().err == "WARNING service: careful\n"
