"""Jobs over real HTTP: a server in a process of its own, its clients, its cache, its files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from service.cache.keys import counter_key, generations_key
from tests.support.service.command_line import Shop
from tests.support.service.redis_servers import PersistentServer, contents
from tests.support.service.running import pair
from tests.support.service.watched_fill import write_candidates, write_rows

KEY, ADMIN = "k" * 20, "a" * 20
SECONDS = 120.0

Json = dict[str, Any]
Served = tuple[Path, httpx.Client, str]


@dataclass(frozen=True)
class Place:
    """What outlives the service: its folders, and a Redis."""

    shop: Shop
    candidates: Path
    redis: PersistentServer

    @contextmanager
    def serving(self, **changes: str) -> Iterator[httpx.Client]:
        shop = Shop(self.shop.folder, {**self.shop.settings, **changes})
        with shop.serving() as server:
            assert server.first_line.startswith("ready: ")
            headers = {"Authorization": f"Bearer {ADMIN}"}
            with httpx.Client(base_url=server.address, headers=headers, timeout=SECONDS) as client:
                yield client


@contextmanager
def place_in(folder: Path, store: Path) -> Iterator[Place]:
    redis = PersistentServer(folder / "redis")
    redis.start()
    candidates = folder / "candidates"
    candidates.mkdir()
    shop = Shop.in_folder(folder / "shop", store)
    settings = {
        "REDIS_URL": redis.url,
        "JOBS_FOLDER": str(candidates),
        "API_KEYS": KEY,
        "ADMIN_KEYS": ADMIN,
        "LOG_LEVEL": "warning",
        "FILL_CHUNK_PAIRS": "64",
        "FILL_CHECKPOINT_PAIRS": "128",
    }
    yield Place(Shop(shop.folder, {**shop.settings, **settings}), candidates, redis)
    redis.kill()


@pytest.fixture
def place(tiny_store: Path, tmp_path: Path) -> Iterator[Place]:
    with place_in(tmp_path, tiny_store) as place:
        yield place


@pytest.fixture(scope="module")
def lasting(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, httpx.Client]]:
    """A place and its service, of several tests: torch takes seconds to import."""
    with place_in(tmp_path_factory.mktemp("lasting"), tiny_store) as place, place.serving() as client:
        yield place, client


@pytest.fixture
def served(lasting: tuple[Place, httpx.Client]) -> Iterator[Served]:
    """An empty folder of candidates, the service that fills from it, and the address of its Redis."""
    place, client = lasting
    yield place.candidates, client, place.redis.url
    for file in place.candidates.iterdir():
        file.unlink()


def posted(client: httpx.Client, **body: object) -> Json:
    answer = client.post("/jobs/fill", json={"marketplace": "us", "candidates": ["."], **body})
    assert answer.status_code == 202, answer.text
    job: Json = answer.json()
    assert answer.headers["Location"] == f"/jobs/{job['id']}"
    return job


def until(client: httpx.Client, job: Json, *states: str) -> Json:
    """Ask for the job until it has one of the states."""
    deadline = time.monotonic() + SECONDS
    while True:
        found: Json = client.get(f"/jobs/{job['id']}").json()
        if found["state"] in states:
            return found
        assert time.monotonic() < deadline, found
        assert found["state"] in ("waiting", "running", "cancelling"), found


def with_pairs_scored(client: httpx.Client, job: Json) -> Json:
    """The job once it has scored something, and goes on."""
    deadline = time.monotonic() + SECONDS
    while True:
        found = until(client, job, "running")
        if found["progress"]["scored"]:
            return found
        assert time.monotonic() < deadline, found


def test_a_job_fills_the_cache_and_reports(place: Place) -> None:
    write_candidates(place.candidates / "today.tsv", 40, 30)
    with place.serving() as client:
        job = posted(client, candidates=["today.tsv"])
        assert job["state"] in ("waiting", "running")
        assert job["request"] == {
            "marketplace": "us",
            "candidates": ["today.tsv"],
            "traffic": None,
            "coverage": 0.8,
            "dry_run": False,
            "accept_changes": False,
            "restart": False,
        }
        ended = until(client, job, "succeeded")
        report = ended["report"]
        assert (report["counts"]["scored"], report["counts"]["queries"], report["flipped"]) == (1200, 40, True)
        assert report["files"] == ["today.tsv"]
        progress = ended["progress"]
        assert (progress["stage"], progress["scored"], progress["share_read"]) == ("flipping", 1200, 1.0)
        assert progress["kept"] == report["counts"]["kept"] > 0
        assert progress["pairs_per_second"] > 0
        assert ended["created_at"] <= ended["started_at"] <= ended["ended_at"]
        assert ended["error"] is None
        found = client.get("/cache/us", params={"query": "query 3"}).json()
        assert (found["generation"], found["status"]) == (report["generation"], "relevant")
        figures = {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(client.get("/metrics").text)
            for sample in family.samples
        }
        assert figures["relevance_jobs_total", "us", "succeeded"] == 1
        assert figures["relevance_fill_pairs_total", "us"] == 1200
        assert figures["relevance_jobs_running",] == figures["relevance_jobs_waiting",] == 0


def test_it_makes_what_the_command_makes(place: Place) -> None:
    write_candidates(place.candidates / "today.tsv", 30, 40)
    with place.serving() as client:
        until(client, posted(client), "succeeded")
        by_job = contents(place.redis.url)
    by_command = place.shop.run("fill", str(place.candidates), "--marketplace", "us")
    assert by_command.code == 0, by_command.errors
    assert contents(place.redis.url) == by_job
    assert len(by_job) == 30


def test_options_are_those_of_the_command_line(served: Served) -> None:
    candidates, client, _ = served
    write_candidates(candidates / "today.tsv", 40, 5)
    (candidates / "counts.csv").write_text(
        "query,count\n" + "".join(f"query {number},{100 if number < 8 else 1}\n" for number in range(40))
    )
    job = posted(client, candidates=["today.tsv"], traffic="counts.csv", coverage=0.9, dry_run=True)
    report = until(client, job, "succeeded")["report"]
    assert not report["flipped"]
    assert report["traffic"]["chosen_queries"] == 8
    assert report["counts"]["uncovered_rows"] == 32 * 5
    assert report["difference"]["gained"]["queries"] == 8
    assert client.get("/cache/us", params={"query": "query 3"}).json()["status"] == "never_scored"
    job = posted(client, candidates=["today.tsv"], traffic="counts.csv", coverage=0.9)
    again = until(client, job, "succeeded")["report"]
    assert (again["flipped"], again["generation"]) == (True, report["generation"])
    job = posted(client, candidates=["today.tsv"], restart=True, accept_changes=True)
    assert until(client, job, "succeeded")["report"]["counts"]["queries"] == 40


def test_a_cancelled_job_leaves_the_cache_as_it_was(place: Place) -> None:
    write_candidates(place.candidates / "old.tsv", 10, 5)
    write_candidates(place.candidates / "large.tsv", 2000, 50)
    with place.serving() as client, place.redis.client() as redis:
        until(client, posted(client, candidates=["old.tsv"]), "succeeded")
        before, generations = contents(place.redis.url), redis.smembers(generations_key("us"))
        job = posted(client, candidates=["large.tsv"])
        with_pairs_scored(client, job)
        assert client.delete(f"/jobs/{job['id']}").json()["state"] == "cancelling"
        ended = until(client, job, "cancelled")
        assert (ended["report"], ended["error"]) == (None, None)
        assert contents(place.redis.url) == before
        assert redis.smembers(generations_key("us")) == generations
        assert not list(Path(place.shop.settings["FILL_FOLDER"]).glob("*"))
        refused = client.delete(f"/jobs/{job['id']}")
        assert refused.status_code == 202
        assert refused.json()["state"] == "cancelled"
        job = posted(client, candidates=["old.tsv"])
        assert until(client, job, "succeeded")["report"]["resumed"] == 0
        late = client.delete(f"/jobs/{job['id']}")
        assert (late.status_code, late.json()["error"]) == (409, "conflict")
        assert "has succeeded" in late.json()["detail"]


def test_jobs_of_a_marketplace_take_turns_and_too_many_are_refused(place: Place) -> None:
    write_candidates(place.candidates / "large.tsv", 2000, 50)
    write_candidates(place.candidates / "small.tsv", 5, 5)
    with place.serving(JOBS_WAITING="2", JOBS_KEPT="3") as client:
        first = posted(client, candidates=["large.tsv"])
        waiting = [posted(client, candidates=["small.tsv"]) for _ in range(2)]
        assert [job["state"] for job in waiting] == ["waiting", "waiting"]
        refused = client.post("/jobs/fill", json={"marketplace": "us", "candidates": ["small.tsv"]})
        assert (refused.status_code, refused.json()["error"]) == (429, "overloaded")
        assert int(refused.headers["Retry-After"]) > 0
        other = posted(client, marketplace="es", candidates=["small.tsv"])
        assert until(client, other, "succeeded")["report"]["marketplace"] == "es"
        assert until(client, first, "running")
        client.delete(f"/jobs/{waiting[0]['id']}")
        assert until(client, waiting[0], "cancelled")["started_at"] is None
        client.delete(f"/jobs/{first['id']}")
        assert until(client, waiting[1], "succeeded")
        listed = client.get("/jobs").json()["jobs"]
        assert [job["id"] for job in listed] == [waiting[1]["id"], waiting[0]["id"], first["id"]]
        assert client.get(f"/jobs/{other['id']}").status_code == 404


def test_requests_are_answered_while_a_job_runs(served: Served) -> None:
    candidates, client, _ = served
    write_candidates(candidates / "large.tsv", 2000, 50)
    job = posted(client)
    with_pairs_scored(client, job)
    for number in range(30):
        answer = client.post("/score", json={"pairs": [pair(f"query {number}", "usb cable")]})
        assert answer.status_code == 200
    assert until(client, job, "running")["progress"]["seconds_left"] > 0
    client.delete(f"/jobs/{job['id']}")
    until(client, job, "cancelled")


def test_a_job_goes_on_when_it_is_posted_to_the_next_service(place: Place) -> None:
    write_candidates(place.candidates / "large.tsv", 300, 60)
    with place.serving() as client:
        undisturbed = until(client, posted(client), "succeeded")["report"]
        expected = contents(place.redis.url)
        with_pairs_scored(client, posted(client, restart=True))
    assert contents(place.redis.url) == expected
    with place.serving() as client:
        report = until(client, posted(client), "succeeded")["report"]
        assert report["resumed"] == 1
        assert report["counts"] == undisturbed["counts"]
        assert contents(place.redis.url) == expected


def test_a_job_that_fails_says_why_and_changes_nothing(served: Served) -> None:
    candidates, client, redis_url = served
    write_candidates(candidates / "good.tsv", 5, 5)
    rows = [f"query\tp{number}\ttitle {number}" for number in range(180)] + ["only one field"] * 20
    write_rows(candidates / "bad.tsv", rows)
    (candidates / "columns.tsv").write_text("query\ttitle\na\tb\n")
    until(client, posted(client, candidates=["good.tsv"], accept_changes=True), "succeeded")
    before = contents(redis_url)
    failed = until(client, posted(client, candidates=["bad.tsv"]), "failed")
    assert failed["report"] is None
    assert failed["error"]["exit_code"] == 2
    assert "20 of 200 rows cannot be used" in failed["error"]["detail"]
    failed = until(client, posted(client, candidates=["columns.tsv"]), "failed")
    assert failed["error"]["detail"].startswith("columns.tsv, row 1, field 'product_id': ")
    assert contents(redis_url) == before


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"candidates": ["../secret.tsv"]}, "field 'candidates[0]'"),
        ({"candidates": ["/etc/passwd"]}, "field 'candidates[0]'"),
        ({"candidates": ["absent.tsv"]}, "there is no 'absent.tsv'"),
        ({"candidates": ["leading-out.tsv"]}, "leads out of JOBS_FOLDER"),
        ({"candidates": []}, "field 'candidates'"),
        ({"traffic": "../counts.csv"}, "field 'traffic'"),
        ({"coverage": 0}, "field 'coverage'"),
        ({"marketplace": "xx"}, "does not know 'xx'"),
        ({"unknown": 1}, "field 'unknown'"),
    ],
)
def test_wrong_requests_name_the_field(service_of_module: httpx.Client, body: Json, detail: str) -> None:
    answer = service_of_module.post("/jobs/fill", json={"marketplace": "us", "candidates": ["a.tsv"], **body})
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid_field")
    assert detail in answer.json()["detail"]
    assert service_of_module.get("/jobs").json() == {"jobs": []}


def test_filling_and_cancelling_take_a_key_for_administration(service_of_module: httpx.Client) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    body = {"marketplace": "us", "candidates": ["a.tsv"]}
    assert service_of_module.post("/jobs/fill", json=body, headers=headers).status_code == 403
    assert service_of_module.delete("/jobs/x", headers=headers).status_code == 403
    assert service_of_module.get("/jobs", headers=headers).status_code == 200
    assert service_of_module.get("/jobs/x", headers=headers).status_code == 404
    assert service_of_module.delete("/jobs/x").status_code == 404


@pytest.fixture(scope="module")
def service_of_module(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("jobs")
    candidates = folder / "candidates"
    candidates.mkdir()
    write_candidates(candidates / "a.tsv", 1, 1)
    write_candidates(folder / "secret.tsv", 1, 1)
    (candidates / "leading-out.tsv").symlink_to(folder / "secret.tsv")
    shop = Shop.in_folder(folder / "shop", tiny_store)
    settings = {"JOBS_FOLDER": str(candidates), "API_KEYS": KEY, "ADMIN_KEYS": ADMIN, "LOG_LEVEL": "warning"}
    with Shop(shop.folder, {**shop.settings, **settings}).serving() as server:
        assert server.first_line.startswith("ready: ")
        headers = {"Authorization": f"Bearer {ADMIN}"}
        with httpx.Client(base_url=server.address, headers=headers, timeout=SECONDS) as client:
            yield client


def test_without_a_folder_jobs_are_not_configured(tiny_store: Path, tmp_path: Path) -> None:
    shop = Shop.in_folder(tmp_path, tiny_store)
    with shop.serving() as server:
        assert server.first_line.startswith("ready: ")
        with httpx.Client(base_url=server.address, timeout=SECONDS) as client:
            answers = [
                client.post("/jobs/fill", json={"marketplace": "us", "candidates": ["a.tsv"]}),
                client.get("/jobs"),
                client.get("/jobs/x"),
                client.delete("/jobs/x"),
            ]
    for answer in answers:
        assert (answer.status_code, answer.json()["error"]) == (404, "not_configured")
        assert "set JOBS_FOLDER" in answer.json()["detail"]


def test_a_marketplace_without_threshold_is_refused(served: Served) -> None:
    candidates, client, _ = served
    write_candidates(candidates / "a.tsv", 1, 1)
    answer = client.post("/jobs/fill", json={"marketplace": "jp", "candidates": ["a.tsv"]})
    assert (answer.status_code, answer.json()["error"]) == (409, "conflict")
    assert "no threshold" in answer.json()["detail"]


def test_a_fill_from_elsewhere_is_not_disturbed(place: Place) -> None:
    write_candidates(place.candidates / "a.tsv", 2000, 50)
    with (
        place.serving() as client,
        place.shop.started("fill", str(place.candidates), "--marketplace", "us") as fill,
    ):
        with place.redis.client() as redis:
            wait_for_a_generation(redis)
        failed = until(client, posted(client), "failed")
        assert failed["error"]["exit_code"] == 3
        assert "runs already" in failed["error"]["detail"]
        assert fill.poll() is None
        fill.terminate()
        fill.communicate(timeout=SECONDS)


def wait_for_a_generation(redis: Redis) -> None:
    deadline = time.monotonic() + SECONDS
    while not redis.exists(counter_key("us")):
        assert time.monotonic() < deadline
