"""When a run published its versions, in seconds since its training was begun."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from model_store.files import read_json, write_json


@dataclass(frozen=True, slots=True)
class PublishedVersion:
    """A version and the seconds of training up to it; None where nobody looked on, or an interruption hid it."""

    marketplace: str
    number: int
    promoted: bool
    reason: str
    seconds: float | None


@dataclass(slots=True)
class _Kept:
    seconds: float = 0.0
    published_after: dict[str, float | None] = field(default_factory=dict)


class PublishedVersions:
    """Looks for the versions that a run publishes while it trains.

    What it saw is kept in the run's folder, so that the times of a run that was interrupted go on where they
    were: the time between does not count.
    """

    def __init__(self, run_folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._clock = run_folder, clock
        self._path = run_folder / "demo.json"
        self._kept = _Kept(**(read_json(self._path) or {}))  # type: ignore[arg-type] # as it was written
        self._before, self._began = self._kept.seconds, clock()

    def __enter__(self) -> PublishedVersions:
        for name, _ in self._steps():
            self._kept.published_after.setdefault(name, None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder.is_dir():
            self._write()

    def new(self) -> list[PublishedVersion]:
        """What was published since the last look."""
        unseen = [name for name, _ in self._steps() if name not in self._kept.published_after]
        for name in unseen:
            self._kept.published_after[name] = round(self._seconds(), 1)
        if unseen:
            self._write()
        return [version for version in self.all() if version.marketplace in unseen]

    def all(self) -> list[PublishedVersion]:
        """All versions of the run, in their order."""
        return [
            PublishedVersion(
                name, published["number"], published["promoted"], published["reason"],
                self._kept.published_after.get(name),
            )
            for name, published in self._steps()
        ]  # fmt: skip

    def _steps(self) -> list[tuple[str, dict[str, Any]]]:
        found = [json.loads(path.read_text(encoding="utf-8")) for path in self._paths()]
        return [(one["step"]["marketplace"], one["publication"]) for one in found]

    def _paths(self) -> list[Path]:
        return sorted((self._folder / "steps").glob("*/published.json"))

    def _seconds(self) -> float:
        return self._before + self._clock() - self._began

    def _write(self) -> None:
        self._kept.seconds = round(self._seconds(), 1)
        write_json(self._path, asdict(self._kept))
