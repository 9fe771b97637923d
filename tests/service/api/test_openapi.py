"""The OpenAPI document is whole: every operation has its errors, and examples that the service itself accepts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema_rs import validator_for
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.service.command_line import Shop
from tests.support.service.running import RunningService
from tests.support.tiny_model import build_tiny_store

pytestmark = pytest.mark.anyio

Document = dict[str, Any]
_CHANGES_NOTHING = ("/score", "/rank", "/compare", "/rerank", "/predict", "/lookup")


class MissingExampleError(AssertionError):
    """A field of which nobody sees what it looks like."""


@pytest.fixture
async def document(service: RunningService) -> Document:
    return dict((await service.client.get("/openapi.json")).json())


def operations(document: Document) -> list[tuple[str, str, Document]]:
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def example_of(document: Document, schema: Document, where: str) -> Any:
    """What `/docs` shows for a schema, as Swagger UI puts it together."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return example_of(document, document["components"]["schemas"][name], f"{where} ({name})")
    for key in ("example", "default", "const"):
        if key in schema:
            return schema[key]
    for several in ("examples", "enum"):
        if schema.get(several):
            return schema[several][0]
    if "anyOf" in schema:
        return example_of(document, schema["anyOf"][0], where)
    if schema.get("type") == "boolean":
        return True
    if schema.get("type") == "array":
        return [example_of(document, schema["items"], f"{where}[]")]
    if schema.get("type") == "object" and "properties" in schema:
        found = schema["properties"].items()
        return {name: example_of(document, field, f"{where}.{name}") for name, field in found}
    raise MissingExampleError(f"{where} has no example: {schema}")


def shown(document: Document, media: Document, where: str) -> Any:
    return media["example"] if "example" in media else example_of(document, media["schema"], where)


def check(document: Document, media: Document, example: Any, where: str) -> None:
    schema = {**media.get("schema", {}), "components": document["components"]}
    problems = [error.message for error in validator_for(schema).iter_errors(example)]
    assert problems == [], where


async def test_every_body_and_answer_has_an_example_of_its_schema(document: Document) -> None:
    for method, path, operation in operations(document):
        bodies = {"body": operation.get("requestBody", {}), **operation["responses"]}
        for name, body in bodies.items():
            for media in body.get("content", {}).values():
                where = f"{method} {path} {name}"
                check(document, media, shown(document, media, where), where)
        for parameter in operation.get("parameters", []):
            where = f"{method} {path} {parameter['name']}"
            example = parameter.get("example", example_of(document, parameter["schema"], where))
            check(document, parameter, example, where)


async def test_the_service_accepts_its_own_examples(service: RunningService, document: Document) -> None:
    tried = 0
    for method, path, operation in operations(document):
        for kind, media in operation.get("requestBody", {}).get("content", {}).items():
            if not path.endswith(_CHANGES_NOTHING) and kind == "application/json":
                continue
            example = shown(document, media, path)
            content = example if isinstance(example, str) else json.dumps(example)
            answer = await service.client.request(
                method, path.replace("{marketplace}", "us"), content=content, headers={"content-type": kind}
            )
            # The store has one version only, and the example compares two.
            assert answer.status_code == (404 if path == "/compare" else 200), (path, answer.text)
            assert '"error"' not in answer.text or path == "/compare"
            tried += 1
    assert tried >= 9


async def test_every_operation_tells_its_errors_in_the_one_shape(document: Document) -> None:
    for method, path, operation in operations(document):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["tags"], where
        errors = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert all("ErrorAnswer" in json.dumps(answer) for answer in errors.values()), where
        if operation.get("requestBody") or operation.get("parameters"):
            assert "422" in errors, where
        if operation.get("security"):
            assert "401" in errors, where


async def test_the_key_is_declared_where_it_is_asked_for(document: Document) -> None:
    schemes = document["components"]["securitySchemes"]
    assert {scheme["scheme"] for scheme in schemes.values()} == {"bearer"}
    opened = {path for _, path, operation in operations(document) if not operation.get("security")}
    assert opened == {"/healthz", "/readyz", "/metrics"}


async def test_the_documentation_loads_nothing_from_elsewhere(service: RunningService) -> None:
    page = (await service.client.get("/docs")).text
    assert "http://" not in page
    assert "https://" not in page
    files = [part.split('"')[0] for part in page.split('"/docs/files/')[1:]]
    assert len(files) >= 2
    for name in files:
        assert (await service.client.get(f"/docs/files/{name}")).status_code == 200


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
