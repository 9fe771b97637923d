"""Generated requests against the OpenAPI document: no server error, no answer that breaks its schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.models.tiny_model import build_tiny_store
from tests.support.service.command_line import Shop

CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]
STREAM = "/score/stream"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("schema")
    shop = Shop.in_folder(folder, build_tiny_store(folder, ("us", "es")))
    # Nobody reads its log here, and a full pipe would hold it up.
    shop = Shop(shop.folder, {**shop.settings, "LOG_LEVEL": "warning"})
    with shop.serving() as server:
        assert server.first_line.startswith("ready: ")
        yield server.address


@pytest.mark.parametrize(
    ("cases", "at_least"),
    [(8, 60), pytest.param(650, 5000, marks=[pytest.mark.long, pytest.mark.timeout(3000)])],
)
@pytest.mark.filterwarnings("ignore")  # of schemathesis' own
def test_no_generated_request_breaks_the_contract(url: str, cases: int, at_least: int) -> None:
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    tried = 0
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        if operation.path == STREAM:
            # Its body is no JSON document; tests of its own send lines.
            continue

        @settings(
            max_examples=cases,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def check(case: schemathesis.Case[Any]) -> None:
            nonlocal tried
            tried += 1
            case.call_and_validate(base_url=url, checks=CHECKS)

        check()
    assert tried >= at_least
