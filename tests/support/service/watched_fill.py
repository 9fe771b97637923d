"""A fill that a test watches: something happens to it at the moment at which something holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from service.fill.generation.record import FillRecordFile
from service.fill.job import FillJob
from service.fill.report.progress import FillProgress, FillStage
from service.fill.report.report import FillCounts, FillReport
from service.fill.target import FillTarget

Holds = Callable[[], bool]


class WatchedFill:
    """A fill that runs; what is to hold is asked at each of its stages and after each chunk."""

    def __init__(self, target: FillTarget, paths: Sequence[Path], holds: Holds) -> None:
        progress = _WatchedProgress(target.marketplace, holds)
        self._holds = progress.holding
        self.task: asyncio.Task[FillReport] = asyncio.create_task(FillJob(target, paths, progress=progress).run())

    async def until_it_holds(self) -> None:
        """Return as soon as it holds; or with the fill, if that ends before."""
        holding = asyncio.create_task(self._holds.wait())
        await asyncio.wait([holding, self.task], return_when=asyncio.FIRST_COMPLETED)
        holding.cancel()


def has_checkpoint(target: FillTarget, number: int) -> Holds:
    """Whether a fill has noted so many checkpoints."""
    file = FillRecordFile(target.settings.fill_folder, target.marketplace)

    def holds() -> bool:
        record = file.read()
        return record is not None and record.newest.number >= number

    return holds


class _WatchedProgress(FillProgress):
    def __init__(self, marketplace: str, holds: Holds) -> None:
        super().__init__(marketplace)
        self._asked = holds
        self.holding = asyncio.Event()

    def enter(self, stage: FillStage) -> None:
        super().enter(stage)
        self._look()

    def update(self, counts: FillCounts, bytes_read: int) -> None:
        super().update(counts, bytes_read)
        self._look()

    def _look(self) -> None:
        if self._asked():
            self.holding.set()


HEADER = "query\tproduct_id\tproduct_title"
_WORDS = ("usb", "cable", "sofa", "red", "tea", "4k", "tv", "85-inch", "hdmi", "dog", "kit", "xyz", "lámpara")


def title_of(product: int) -> str:
    """Titles that the tiny model finds more and less relevant."""
    return f"{_WORDS[product % len(_WORDS)]} {_WORDS[product * 7 // 3 % len(_WORDS)]} {product // len(_WORDS)}"


def write_candidates(path: Path, queries: int, products: int, *, first_query: int = 0) -> Path:
    """Rows of one query are spread over the whole file."""
    rows = [
        f"query {query}\tp{product}\t{title_of(product)}"
        for product in range(products)
        for query in range(first_query, first_query + queries)
    ]
    return write_rows(path, rows)


def write_rows(path: Path, rows: Sequence[str]) -> Path:
    path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return path
