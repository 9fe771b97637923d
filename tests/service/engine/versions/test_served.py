from __future__ import annotations

import asyncio
import json
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from model_store.errors import RelevanceError, VersionNotFoundError
from model_store.network.interaction import Route
from model_store.versions.store import ModelStore
from model_store.versions.weights import write_network
from service.engine.versions import served as served_model
from service.engine.versions.loading import WorkerThread, load_scorer
from service.engine.versions.served import ServedModel, VersionSource
from tests.support.service.running import settings_for
from tests.support.tiny_encoder import write_tiny_encoder
from tests.support.tiny_model import publish_tiny_version, random_relevance_network, tiny_draft

pytestmark = pytest.mark.anyio


@pytest.fixture
def thread() -> Iterator[WorkerThread]:
    thread = WorkerThread()
    yield thread
    thread.close()


def model_of(store: Path, thread: WorkerThread, announced: list[str]) -> ServedModel:
    """A model that notes the outcome of every attempt to load it."""

    def announce(model: ServedModel) -> None:
        announced.append("ready" if model.loaded_scorer else model.problem)

    settings = settings_for(store, store.parent)
    source = VersionSource(store, settings.model_version, settings.engine, settings.reload_interval_seconds)
    return ServedModel(source, thread, announce)


async def test_it_loads_behind_the_scenes_and_says_so(tiny_store: Path, thread: WorkerThread) -> None:
    announced: list[str] = []
    model = model_of(tiny_store, thread, announced)
    model.begin_loading()
    with pytest.raises(VersionNotFoundError, match="the model is being loaded"):
        model.required_scorer()
    assert await model.loaded() is model.required_scorer()
    assert announced == ["ready"]


async def test_the_first_attempt_waits_for_nothing_and_the_next_for_a_while(
    tmp_path: Path, thread: WorkerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_model, "RETRY_SECONDS", 1e12)
    announced: list[str] = []
    model = model_of(tmp_path / "store", thread, announced)
    for _ in range(3):
        assert model.scorer is None
        await model.loaded()
    assert len(announced) == 1
    assert "no promoted version" in announced[0]


async def test_a_version_that_is_published_later_is_found(
    tiny_store: Path, tmp_path: Path, thread: WorkerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_model, "RETRY_SECONDS", 0.0)
    announced: list[str] = []
    model = model_of(tmp_path / "store", thread, announced)
    model.begin_loading()
    assert await model.loaded() is None
    shutil.copytree(tiny_store, tmp_path / "store")
    assert model.scorer is None
    scorer = await model.loaded()
    assert scorer is model.scorer is not None
    assert announced[-1] == "ready"


async def test_a_damaged_version_is_not_served_and_its_file_is_named(
    tiny_store: Path, tmp_path: Path, thread: WorkerThread
) -> None:
    shutil.copytree(tiny_store, tmp_path / "store")
    head = tmp_path / "store" / "versions" / "0001" / "head.safetensors"
    head.write_bytes(head.read_bytes()[:-1])
    announced: list[str] = []
    model = model_of(tmp_path / "store", thread, announced)
    model.begin_loading()
    assert await model.loaded() is None
    assert str(head) in announced[0]
    with pytest.raises(VersionNotFoundError, match=r"head\.safetensors"):
        model.required_scorer()


async def test_closing_waits_for_the_attempt_under_way(tiny_store: Path, thread: WorkerThread) -> None:
    model = model_of(tiny_store, thread, [])
    model.begin_loading()
    await model.close()
    assert model.loaded_scorer is not None


class PanicError(BaseException):
    """As what a native library raises, and `except Exception` does not catch."""


def newer_tokenizer(encoder: Path) -> None:
    path = encoder / "tokenizer.json"
    content = json.loads(path.read_text())
    content["model"]["type"] = "WordPiece2"
    path.write_text(json.dumps(content))


def unknown_activation(encoder: Path) -> None:
    path = encoder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "hidden_act": "gelu_of_tomorrow"}))


def no_vocabulary(encoder: Path) -> None:
    path = encoder / "tokenizer.json"
    path.write_text(path.read_text()[:100])


def publish_spoiled(store: Path, spoil: Callable[[Path], None]) -> None:
    """Publish a version that is whole, over an encoder that this process cannot load."""
    whole, spoiled = store.parent / "encoder", store.parent / "spoiled"
    shutil.copytree(whole, spoiled)
    spoil(spoiled)
    network = random_relevance_network(whole, ("us", "es"), seed=1)
    route = Route(("us", "es"), "step-fused")
    draft = tiny_draft(spoiled, ("us", "es"), parent=1)
    ModelStore(store).publish(draft, lambda folder: write_network(network, route, folder))


@pytest.mark.parametrize("spoil", [newer_tokenizer, unknown_activation, no_vocabulary])
async def test_a_version_that_fails_by_surprise_is_refused_and_the_next_good_one_is_served(
    tmp_path: Path,
    thread: WorkerThread,
    spoil: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = tmp_path / "store"
    write_tiny_encoder(tmp_path / "encoder")
    publish_tiny_version(store, tmp_path / "encoder", ("us", "es"))
    refused, served = asyncio.Event(), asyncio.Event()

    def announce(model: ServedModel) -> None:
        if model.refused:
            refused.set()
        if model.loaded_scorer and model.loaded_scorer.model_version == 3:
            served.set()

    source = VersionSource(store, "latest", settings_for(store, tmp_path).engine, 0.02)
    model = ServedModel(source, thread, announce)
    model.begin_loading()
    await model.loaded()
    watching = asyncio.create_task(model.watch())
    publish_spoiled(store, spoil)
    async with asyncio.timeout(60):
        await refused.wait()
    assert model.refused is not None
    assert model.refused.version == 2
    assert model.failed_loads == 1
    assert "version 2 is refused, version 1 keeps serving" in caplog.text
    assert model.required_scorer().model_version == 1
    with pytest.raises(RelevanceError):
        load_scorer(store, "2")
    publish_tiny_version(store, tmp_path / "encoder", ("us", "es"), seed=3, parent=1)
    async with asyncio.timeout(60):
        await served.wait()
    assert model.refused is None
    watching.cancel()
    await asyncio.wait([watching])
    await model.close()


@pytest.mark.parametrize(
    "surprise",
    [Exception("of no class"), StopIteration(), SystemExit(1), PanicError("index out of bounds"), MemoryError()],
    ids=lambda error: type(error).__name__,
)
async def test_a_start_on_what_cannot_be_loaded_says_why(
    tiny_store: Path, thread: WorkerThread, monkeypatch: pytest.MonkeyPatch, surprise: BaseException
) -> None:
    def fail(*arguments: object) -> None:
        raise surprise

    announced: list[str] = []
    model = model_of(tiny_store, thread, announced)
    with monkeypatch.context() as patch:
        patch.setattr(served_model, "load_scorer", fail)
        model.begin_loading()
        assert await model.loaded() is None
    assert type(surprise).__name__ in announced[0]
    with pytest.raises(VersionNotFoundError, match=type(surprise).__name__):
        model.required_scorer()
    await model.follow(again=True)
    assert model.required_scorer().model_version == 1


async def test_whoever_cannot_be_told_does_not_end_the_watch(
    tiny_store: Path, thread: WorkerThread, caplog: pytest.LogCaptureFixture
) -> None:
    def announce(model: ServedModel) -> None:
        raise BrokenPipeError("standard output is closed")

    source = VersionSource(tiny_store, "latest", settings_for(tiny_store, tiny_store.parent).engine, 10)
    model = ServedModel(source, thread, announce)
    with caplog.at_level(logging.ERROR):
        model.begin_loading()
        await model.loaded()
    assert model.required_scorer().model_version == 1
    assert "announcing the model failed: BrokenPipeError" in caplog.text
