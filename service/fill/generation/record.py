"""What a fill notes on disk so that it can resume after it was killed: its generation and its checkpoints."""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from model_store.errors import ConfigurationError, InputError
from model_store.files import write_text_atomically
from service.fill.candidates.chunks import ReadingState
from service.fill.files import fill_folder_named
from service.fill.report.histogram import ScoreHistogram
from service.fill.report.sample import SampledPair

_KEPT_CHECKPOINTS = 3
_FINGERPRINT_BLOCKS = 16
_FINGERPRINT_BLOCK_BYTES = 64 * 1024


class Checkpoint(BaseModel):
    """Up to where everything is written, and what was counted up to there.

    Where the machines of a cluster fill, `parts_done` has first and last number of the parts that are written.
    """

    model_config = ConfigDict(frozen=True)

    number: int = 0
    reading: ReadingState = ReadingState()
    scored: int = 0
    kept: int = 0
    query_log_bytes: int = 0
    sample: tuple[SampledPair, ...] = ()
    histogram: ScoreHistogram
    complete: bool = False
    parts_done: tuple[tuple[int, int], ...] = ()


class FillRecord(BaseModel):
    """One fill that is under way.

    Args:
        determined_by: digest of everything on which the result depends.
        server_runs: which runs of the cache's servers the last checkpoint was written to.
        checkpoints: the first is the beginning; of the others the newest.
        resumed: how many times the fill was started again.
    """

    marketplace: str
    determined_by: str
    fill_id: str
    generation: int
    started_at: datetime
    server_runs: tuple[str, ...]
    checkpoints: tuple[Checkpoint, ...]
    resumed: int = 0

    @property
    def newest(self) -> Checkpoint:
        """The checkpoint to resume from."""
        return self.checkpoints[-1]

    def with_checkpoint(self, checkpoint: Checkpoint) -> FillRecord:
        """One more checkpoint; the oldest but the first leaves."""
        first, *others = (*self.checkpoints, checkpoint)
        return self.model_copy(update={"checkpoints": (first, *others[-_KEPT_CHECKPOINTS:])})

    def back_to(self, number: int) -> FillRecord:
        """Without the checkpoints after a number; the first one, which is the beginning, always stays."""
        first, *others = self.checkpoints
        return self.model_copy(update={"checkpoints": (first, *(one for one in others if one.number <= number))})


class FillRecordFile:
    """The record of a marketplace's fill, and where its other files are."""

    def __init__(self, folder: Path, marketplace: str) -> None:
        self.path = folder / f"{marketplace}.checkpoint.json"
        self._folder = folder
        self._marketplace = marketplace

    def query_log(self, fill_id: str) -> Path:
        """The file of the queries that a fill wrote."""
        return self._folder / f"{self._marketplace}-{fill_id}.queries"

    def rejected_rows(self, fill_id: str) -> Path:
        """The file of the rows that a fill could not use."""
        return self._folder / f"{self._marketplace}-{fill_id}.rejected.jsonl"

    def read(self) -> FillRecord | None:
        """The record, or None where no fill was interrupted.

        Raises:
            ConfigurationError: the file is not one of this version of the product, or cannot be read.
        """
        try:
            with fill_folder_named():
                content = self.path.read_bytes() if self.path.exists() else None
            return None if content is None else FillRecord.model_validate_json(content)
        except ValidationError as error:
            raise ConfigurationError(
                f"{self.path} cannot be read ({str(error).splitlines()[0]}); delete it to fill from the start"
            ) from error

    def write(self, record: FillRecord) -> None:
        """Replace the record, on the disk when this returns.

        Raises:
            ConfigurationError: FILL_FOLDER cannot be written.
        """
        with fill_folder_named():
            write_text_atomically(self.path, record.model_dump_json())

    def remove(self) -> None:
        """Forget the fill and its queries, also those of earlier fills that were killed in the middle of this.

        Raises:
            ConfigurationError: FILL_FOLDER cannot be written.
        """
        with fill_folder_named():
            self.path.unlink(missing_ok=True)
            # Behind the name of another marketplace, as us-east, stands no date.
            for log in self._folder.glob(f"{self._marketplace}-{'[0-9]' * 8}T{'[0-9]' * 6}-????.queries"):
                log.unlink(missing_ok=True)


def fingerprint(path: Path, size: int) -> str:
    """A digest of a file's size, its time, and 16 blocks of 64 KiB, spread evenly.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        digest = blake2b(f"{size}:{path.stat().st_mtime_ns}:".encode(), digest_size=16)
        with path.open("rb") as file:
            for block in range(_FINGERPRINT_BLOCKS):
                file.seek(max(0, size - _FINGERPRINT_BLOCK_BYTES) * block // (_FINGERPRINT_BLOCKS - 1))
                digest.update(file.read(_FINGERPRINT_BLOCK_BYTES))
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", source=str(path)) from error
    return digest.hexdigest()
