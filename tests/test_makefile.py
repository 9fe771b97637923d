"""What the Makefile's commands would run: each is asked for its recipe, nothing is run."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tests.support.repository import REPOSITORY

VARIABLES = (
    "PYTHON", "DATA", "SEQUENCE", "TRANSLATION", "SEED", "BASELINE", "MODEL_STORE", "CACHE_FOLDER", "BENCH_DATA",
    "COMPOSE", "COMPOSE_ENGINE", "COMPOSE_WORK", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "RELEVANCE_DATA",
)  # fmt: skip

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


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


def test_the_demo_is_of_the_bundled_catalogue_and_of_what_is_named() -> None:
    assert "--data 'catalogue' --sequence 'us,es,jp' --translation 'catalogue' --seed 0" in recipe("demo")
    named = recipe("demo", "DATA=table:my,own.tsv", "SEQUENCE=de,fr", SEED="7")
    assert "--data 'table:my,own.tsv' --sequence 'de,fr' --translation 'catalogue' --seed 7" in named
    assert "--baseline" not in named
    assert recipe("demo", "BASELINE=1").strip().endswith("--seed 0 --baseline")


@pytest.mark.parametrize("target", ["demo", "serve", "bench", "bench-gpu", "compose-check", "test-gpu"])
def test_an_empty_variable_counts_as_not_given(target: str) -> None:
    empty = [name for name in VARIABLES if not name.startswith("M") or name == "MODEL_STORE"]
    plain = recipe(target)
    assert recipe(target, *(f"{name}=" for name in empty)) == plain
    assert recipe(target, **dict.fromkeys(empty, "")) == plain


def test_benchmarks_score_the_file_that_is_named_or_the_catalogue() -> None:
    plain = recipe("bench") + recipe("bench-gpu")
    assert plain.count("--data ") == 1
    assert "training continual --data 'catalogue'" in plain
    named = recipe("bench", "BENCH_DATA=my data.tsv") + recipe("bench-gpu", BENCH_DATA="my data.tsv")
    assert named.count("--data 'my data.tsv'") == 11


def test_the_compose_check_needs_an_engine_only_and_takes_a_script_that_brings_one_up() -> None:
    plain = recipe("compose-check")
    commands = ["config -q", "build", "up -d", "down -v"]
    assert all(f"docker compose -p relevance-check {command}" in plain for command in commands[1:])
    script = recipe("compose-check", "COMPOSE_ENGINE=/some/engine.sh", "COMPOSE=docker-compose -p x")
    smoke = REPOSITORY / "scripts/compose_smoke.sh"
    assert script == f"'/some/engine.sh' . 'var/compose-check' \"COMPOSE='docker-compose -p x' '{smoke}'\"\n"


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
