"""Query-product pairs to fill the cache from, streamed out of candidate files."""

from __future__ import annotations

from pathlib import Path

from model_store.tables.lines import FileStamp
from model_store.tables.pairs import OtherMarketplace, PairTable
from model_store.tables.pairs import PairRow as Candidate

__all__ = ["Candidate", "CandidateFile", "OtherMarketplace"]


class CandidateFile(PairTable):
    """One candidate file, from which the pairs of one marketplace are taken.

    Rows whose marketplace column is empty, and all rows of a file without one, belong to that marketplace.

    Args:
        stamp: how the file has to be; as it is now if None.

    Raises:
        InputError: no such file, an unknown form, or a column is missing.
    """

    def __init__(
        self, path: Path, marketplace: str, max_text_characters: int, stamp: FileStamp | None = None
    ) -> None:
        super().__init__(path, only=marketplace, max_text_characters=max_text_characters, stamp=stamp)
