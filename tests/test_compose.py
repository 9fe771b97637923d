"""The image's and the compose project's files, without an engine; `make compose-check` brings them up."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from model_store.errors import ConfigurationError
from service.api.keys import check_keys
from service.settings import ServiceSettings, load_settings

REPOSITORY = Path(__file__).resolve().parents[1]
COMPOSE = (REPOSITORY / "docker-compose.yml").read_text(encoding="utf-8")
PROJECT: dict[str, Any] = yaml.safe_load(COMPOSE)
SERVICES: dict[str, Any] = PROJECT["services"]
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
COMPOSES_OWN = {"TORCH", "TORCH_INDEX", "IMAGE_TAG", "API_MEMORY", "TRAIN_MEMORY", "CANDIDATES"}


def _example_names() -> set[str]:
    return set(
        re.findall(r"^([A-Z_]+)=", (REPOSITORY / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    )


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert hadolint is not None
    checked = subprocess.run(
        [hadolint, "Dockerfile"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout) == (0, "")


def test_every_variable_of_the_example_is_a_setting_and_is_used() -> None:
    names = _example_names()
    assert names - COMPOSES_OWN <= {name.upper() for name in ServiceSettings.model_fields}
    assert set(re.findall(r"\$\{([A-Z_]+)", COMPOSE)) == names


def test_the_api_starts_with_the_project_s_own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SERVICES["api"]["environment"].items():
        monkeypatch.setenv(name, re.sub(r"\$\{[A-Z_]+:-(.*?)\}", r"\1", str(value)))
    check_keys(load_settings())
    monkeypatch.setenv("PUBLISHED_HOST", "0.0.0.0")  # noqa: S104
    with pytest.raises(ConfigurationError, match="API_KEYS"):
        check_keys(load_settings())


@pytest.mark.parametrize("name", ["api", "fill"])
def test_environment_of_the_service_is_settings(name: str) -> None:
    assert {key.lower() for key in SERVICES[name]["environment"]} <= set(ServiceSettings.model_fields)


def test_every_server_binds_to_host_and_is_published_on_loopback() -> None:
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            assert re.match(r"(127\.0\.0\.1|\$\{PUBLISHED_HOST:-127\.0\.0\.1\}):", port), name
    for name in ("api", "prometheus", "grafana"):
        assert SERVICES[name]["environment"]["HOST"] == "0.0.0.0"  # noqa: S104
    for name in ("prometheus", "grafana"):
        assert "$$HOST" in " ".join(SERVICES[name]["command"])


def test_volumes_and_overrides_name_what_there_is() -> None:
    mounted = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])]
    assert {name for name in mounted if re.match(r"[a-z]", name)} == set(PROJECT["volumes"])
    for path in mounted:
        assert not path.startswith("./") or (REPOSITORY / path).exists(), path
    override = yaml.safe_load((REPOSITORY / "docker-compose.gpu.yml").read_text(encoding="utf-8"))
    assert set(override["services"]) <= set(SERVICES)


def test_containers_of_ours_have_a_read_only_root_and_a_limit() -> None:
    for name, service in SERVICES.items():
        assert "mem_limit" in service, name
        if "build" in service:
            assert service["read_only"], name
            assert service["tmpfs"] == ["/tmp"], name  # noqa: S108


def test_nothing_reaches_the_engine_but_what_the_image_copies() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[0] == "*"
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    copies = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
    assert allowed == {source for sources in copies for source in sources.split()}
    assert any(fnmatch("service/.env", line) for line in ignored)
    assert all((REPOSITORY / path).exists() for path in allowed)
