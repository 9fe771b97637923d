from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_store.errors import VersionNotFoundError
from service.engine.versions import served as served_model
from service.engine.versions.served import ServedModel, VersionSource
from service.engine.versions.threads import WorkerThread
from tests.support.service.running import settings_for

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
