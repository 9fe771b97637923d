"""`python -m service` as its users run it: in processes of their own, over a real socket and a real Valkey.

Whatever a process of its own adds nothing to is run in this one: torch takes seconds to import.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from service.cli import app
from tests.support.in_process import run_in_process
from tests.support.service.command_line import Finished, Server, Shop
from tests.support.service.running import pair
from tests.support.service.watched_fill import title_of, write_candidates

QUERIES, PRODUCTS = 40, 5
Here = Callable[..., Finished]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, tiny_store: Path) -> Shop:
    return Shop.in_folder(tmp_path_factory.mktemp("shop"), tiny_store)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, shop: Shop) -> Iterator[dict[str, Server]]:
    """A server that goes on, one that is ended by a test and one without a model; they start side by side."""
    folder = tmp_path_factory.mktemp("servers")
    shops = {
        "lasting": shop,
        "ended": Shop.in_folder(folder / "ended", Path(shop.settings["MODEL_STORE"])),
        "empty": Shop.in_folder(folder / "empty", folder / "no-store"),
    }
    with ExitStack() as stack:
        yield {name: stack.enter_context(shop.serving()) for name, shop in shops.items()}


@pytest.fixture
def client(servers: dict[str, Server]) -> Iterator[httpx.Client]:
    server = servers["lasting"]
    assert server.first_line == f"ready: {server.address} (model version 1)"
    with httpx.Client(base_url=server.address) as client:
        yield client


def test_an_answer_does_not_wait_for_the_clients_acknowledgement(client: httpx.Client) -> None:
    # With Nagle's algorithm the body follows the head only after 40 ms, always, on a connection that is kept.
    seconds = [client.get("/healthz").elapsed.total_seconds() for _ in range(30)]
    assert min(seconds[5:]) < 0.03


def test_commands_that_need_no_model_start_without_torch() -> None:
    command = [sys.executable, "-c", "import sys, service.cli; sys.exit('torch' in sys.modules)"]
    assert subprocess.run(command, check=False).returncode == 0


@pytest.fixture
def here(shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """Runs a command in this process, with the shop's settings and those given."""
    monkeypatch.chdir(shop.folder)

    def run_here(*arguments: str, **settings: str) -> Finished:
        return Finished(*run_in_process(app, arguments, {**shop.settings, **settings}, monkeypatch, capsys))

    return run_here


def test_a_fill_beside_a_server_is_seen_by_it_and_can_be_taken_back(
    shop: Shop, client: httpx.Client, here: Here
) -> None:
    pairs = [pair("asked", title_of(number), product_id=f"p{number}") for number in range(30)]
    asked = client.post("/score", json={"pairs": pairs}).json()
    assert asked["cache"]["written"] > 0
    assert here("lookup", "query 1", "--marketplace", "us").output == "never scored\n"

    candidates = write_candidates(shop.folder / "candidates.tsv", QUERIES, PRODUCTS)
    report = shop.folder / "reports" / "today" / "us.json"
    filled = shop.run("fill", str(candidates), "--marketplace", "us", "--report", str(report))
    assert filled.code == 0, filled.errors
    content = json.loads(filled.output)
    assert json.loads(report.read_text(encoding="utf-8")) == content
    assert content["counts"]["scored"] == QUERIES * PRODUCTS

    answers = [client.get("/cache/us", params={"query": f"query {n}"}).json() for n in range(QUERIES)]
    assert {answer["generation"] for answer in answers} == {content["generation"]}
    assert sum(len(answer["products"]) for answer in answers) == content["counts"]["cached"] > 0
    statuses = [answer["status"] for answer in answers]
    assert statuses.count("nothing_relevant") == content["counts"]["nothing_relevant"] > 0
    _check_look_ups(here, answers)

    back = here("rollback", "--marketplace", "us")
    assert back.output == "us: generation 1 (model version 1) is read now\n"
    assert client.get("/cache/us", params={"query": "query 1"}).json()["status"] == "never_scored"
    before = client.get("/cache/us", params={"query": "ASKED"}).json()
    assert len(before["products"]) == asked["cache"]["written"]
    again = here("rollback", "--marketplace", "us")
    assert (again.code, again.output) == (2, "")
    assert again.errors == (
        "error: field 'marketplace': 'us' has no earlier generation to go back to; fill the cache again\n"
    )


def _check_look_ups(here: Here, answers: list[dict[str, object]]) -> None:
    """What `lookup` prints is what the server answers."""
    relevant = next(answer for answer in answers if answer["status"] == "relevant")
    looked_up = json.loads(here("lookup", str(relevant["query"]), "--marketplace", "us", "--json").output)
    assert looked_up == {name: relevant[name] for name in looked_up}
    lines = here("lookup", f"  {relevant['query']} ".upper(), "--marketplace", "us").output.splitlines()
    products = looked_up["products"]
    assert lines == [f"{product['score']:.4f}\t{product['id']}" for product in products]
    none = next(answer for answer in answers if answer["status"] == "nothing_relevant")
    assert here("lookup", str(none["query"]), "--marketplace", "us").output == "scored, nothing relevant\n"


def test_the_command_scores_as_the_server_does(shop: Shop, client: httpx.Client, here: Here) -> None:
    titles = [title_of(number) for number in range(10)]
    arguments = ("score", "query 1", *titles, "--marketplace", "us")
    printed = shop.run(*arguments)
    assert printed.code == 0, printed.errors
    rows = json.loads(here(*arguments, "--json").output)["results"]
    pairs = [pair("query 1", title, product_id=str(place)) for place, title in enumerate(titles)]
    served = client.post("/score", json={"pairs": pairs, "write_cache": False}).json()["results"]
    assert [row["score"] for row in rows] == pytest.approx([result["score"] for result in served], abs=1e-5)
    assert [row["highly_relevant"] for row in rows] == [result["highly_relevant"] for result in served]
    assert len({row["highly_relevant"] for row in rows}) == 2
    assert printed.output.splitlines() == [
        f"{row['score']:.4f}\t{'highly relevant' if row['highly_relevant'] else '-'}\t{row['title']}"
        for row in rows
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("score", "usb", "title", "--marketplace", "xx"), 2, "field 'marketplace': .* known are us, es, jp"),
        (("score", "  ", "title", "--marketplace", "us"), 2, "field 'query': the text is empty"),
        (("score", "usb", "title", " ", "--marketplace", "us"), 2, r"field 'titles\[1\]': the text is empty"),
        (("score", "usb", "a\x00b", "--marketplace", "us"), 2, r"field 'titles\[0\]': .* NUL"),
        (("score", "usb", "caf\udce9", "--marketplace", "us"), 2, r"field 'titles\[0\]': .* surrogate"),
        (("score", "usb", "title", "--marketplace", "us", "--version", "7"), 4, "no version '7'; it has 1"),
        (("score", "usb", "title", "--marketplace", "us", "--version", "new"), 3, "setting MODEL_VERSION"),
        (("lookup", "usb", "--marketplace", "../us"), 2, "field 'marketplace'"),
        (("lookup", "\t", "--marketplace", "us"), 2, "field 'query'"),
        (("fill", "nowhere.tsv", "--marketplace", "us"), 2, r"nowhere\.tsv: cannot be read"),
        (("fill", "nowhere.tsv", "--marketplace", "fr"), 2, "does not know 'fr'; it knows us, es, jp"),
        (("fill", "nowhere.tsv", "--marketplace", "us", "--report", "."), 3, "--report: . is a folder"),
        (("fill", "a.tsv", "./a.tsv", "--marketplace", "us"), 2, r"a\.tsv: named twice, also as a\.tsv"),
        (("fill", "a.tsv", "--marketplace", "us", "--stdin-form", "xml"), 2, "Invalid value for '--stdin-form'"),
        (("rollback", "--marketplace", "es"), 2, "'es' has no earlier generation"),
        (("rollback", "us"), 2, "Missing option"),
        (("serve", "--port", "99999"), 3, "setting PORT"),
        (("serve", "--host", "a..b"), 3, "setting API_KEYS: HOST a..b can be reached by others"),
    ],
)
def test_what_is_wrong_is_said_and_decides_the_exit_code(
    here: Here, arguments: tuple[str, ...], code: int, message: str
) -> None:
    finished = here(*arguments)
    assert finished.code == code
    assert re.search(message, finished.errors), finished.errors
    assert finished.output == ""


def test_a_redis_that_is_away_has_an_exit_code_of_its_own(here: Here) -> None:
    finished = here("lookup", "usb", "--marketplace", "us", REDIS_URL="redis://127.0.0.1:1")
    assert finished.code == 6
    assert "127.0.0.1:1 did not answer" in finished.errors


def test_several_marketplaces_are_filled_in_turn(shop: Shop, here: Here) -> None:
    rows = ["query\tproduct_id\tproduct_title\tmarketplace"]
    rows += [f"q{n}\tp{n}\t{title_of(n)}\t{name}" for n in range(30) for name in ("us", "es")]
    candidates = shop.folder / "both.tsv"
    candidates.write_text("\n".join(rows) + "\n", encoding="utf-8")
    filled = here("fill", str(candidates), "--marketplace", "es", "--marketplace", "us")
    reports = json.loads(filled.output)
    assert [report["marketplace"] for report in reports] == ["es", "us"]
    assert [report["counts"]["scored"] for report in reports] == [30, 30]


def test_folders_and_standard_input_are_filled_from(shop: Shop) -> None:
    folder = shop.folder / "catalogue"
    (folder / "shoes").mkdir(parents=True)
    (folder / "README.md").write_text("what is here")
    write_candidates(folder / "a.tsv", 2, 3)
    write_candidates(folder / "shoes" / "b.tsv", 2, 3, first_query=2)
    piped = "".join(f'{{"query": "piped {n}", "id": "p", "title": "usb cable"}}\n' for n in range(4))
    options = ("--marketplace", "us", "--stdin-form", "jsonl")
    filled = shop.run("fill", "catalogue", "-", *options, piped=piped)
    assert filled.code == 0, filled.errors
    report = json.loads(filled.output)
    assert report["counts"]["scored"] == 2 * 2 * 3 + 4
    assert report["files"][:2] == ["catalogue/a.tsv", "catalogue/shoes/b.tsv"]
    assert re.search(r"fills/stdin-[0-9a-f]{32}\.jsonl$", report["files"][2])
    assert not list((shop.folder / "fills").glob("*stdin*"))
    assert "catalogue: files left out, as hidden or of another form: 1\n" in filled.errors
    empty = shop.run("fill", "-", *options, piped="")
    assert (empty.code, empty.errors) == (2, "error: -: standard input is empty\n")


def test_a_marketplace_without_threshold_is_not_filled(shop: Shop, client: httpx.Client, here: Here) -> None:
    candidates = write_candidates(shop.folder / "jp.tsv", 2, 2)
    finished = here("fill", str(candidates), "--marketplace", "jp")
    assert (finished.code, finished.output) == (3, "")
    assert re.fullmatch("error: version 1 has no threshold for 'jp': .*\n", finished.errors)
    answer = client.get("/cache/jp", params={"query": "query 1"}).json()
    assert (answer["status"], answer["generation"]) == ("never_scored", None)


def test_a_port_that_is_taken_is_said(here: Here, servers: dict[str, Server]) -> None:
    port = str(urlsplit(servers["lasting"].address).port)
    finished = here("serve", "--port", port)
    assert (finished.code, finished.output) == (3, "")
    assert f"cannot listen on 127.0.0.1:{port}" in finished.errors
    assert "set HOST and PORT" in finished.errors


def test_a_server_without_a_model_says_so_and_lives(servers: dict[str, Server]) -> None:
    server = servers["empty"]
    assert re.fullmatch("not ready: .* no promoted version.*", server.first_line)
    with httpx.Client(base_url=server.address) as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        ready = client.get("/readyz")
        scored = client.post("/score", json={"pairs": [pair()]})
    assert (ready.status_code, ready.json()["error"]) == (503, "not_ready")
    assert (scored.status_code, scored.json()["error"]) == (503, "model_unavailable")
    assert server.first_line.removeprefix("not ready: ") in ready.json()["detail"]


def test_a_server_answers_what_is_under_way_before_it_ends(servers: dict[str, Server]) -> None:
    server = servers["ended"]
    assert server.first_line.startswith("ready: ")
    address = urlsplit(server.address)
    body = json.dumps({"pairs": [pair()]}).encode()
    head = (
        f"POST /score HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
    )
    place = (str(address.hostname), int(address.port or 0))
    with (
        socket.create_connection(place, timeout=60) as under_way,
        socket.create_connection(place, timeout=60) as just_connected,
    ):
        under_way.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert under_way.recv(1000).startswith(b"HTTP/1.1 100 ")
        server.terminate()
        _wait_until_refused(place)
        just_connected.sendall(f"{head}\r\n".encode() + body)
        under_way.sendall(body)
        answers = [_answer(connection) for connection in (under_way, just_connected)]
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["model_version"] == 1
    finished = server.ended()
    assert (finished.code, finished.output) == (0, "")
    assert finished.errors.count('"message": "POST /score 200"') == 2
    assert "Traceback" not in finished.errors


def _answer(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def _wait_until_refused(place: tuple[str, int]) -> None:
    with suppress(ConnectionRefusedError, ConnectionResetError):
        while True:
            socket.create_connection(place, timeout=60).close()
