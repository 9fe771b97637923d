"""Which queries a fill has written, counted without the cache: what the cache holds is compared with it."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.fill.files import ResumedFile

DIGEST_BYTES = 16
DIGEST_TYPE = np.dtype(f"S{DIGEST_BYTES}")
Digests = NDArray[np.bytes_]
"""Digests of `DIGEST_TYPE`, (n,)."""

_BUCKETS = 1 << 16


def query_digest(normalised_query: str) -> bytes:
    """BLAKE2b of a query as `normalised_query` gives it."""
    return hashlib.blake2b(normalised_query.encode(), digest_size=DIGEST_BYTES).digest()


class QueryDigests:
    """The set of the queries with these digests.

    Args:
        digests: distinct ones in ascending order, (n,).
    """

    def __init__(self, digests: Digests) -> None:
        self._packed = digests.tobytes()
        # Digests are even: those of the first two bytes are found where their share of the whole begins.
        leading = np.frombuffer(self._packed, dtype=">u2")[:: DIGEST_BYTES // 2]
        ends = np.cumsum(np.bincount(leading, minlength=_BUCKETS)) * DIGEST_BYTES
        self._ends = array("q", [0, *ends.tolist()])

    def __len__(self) -> int:
        return len(self._packed) // DIGEST_BYTES

    def __contains__(self, digest: bytes) -> bool:
        bucket = (digest[0] << 8) + digest[1]
        start, end = self._ends[bucket], self._ends[bucket + 1]
        place = self._packed.find(digest, start, end)
        while place >= 0 and (place - start) % DIGEST_BYTES:
            place = self._packed.find(digest, place + 1, end)
        return place >= 0

    def fingerprint(self, *, salt: str) -> str:
        """32 hexadecimal digits that follow from the set and the salt."""
        return hashlib.blake2b(
            self._packed, digest_size=DIGEST_BYTES, key=hashlib.blake2b(salt.encode()).digest()
        ).hexdigest()


_HASH_BYTES = 8
_BYTES_AT_ONCE = 64 * 1024 * 1024


class KeyLog(Protocol):
    """Is told of the entries that are written."""

    def add(self, keys: Iterable[str]) -> None:
        """Note queries by the keys of their entries."""


class QueryLog:
    """A file of 64-bit hashes, one for each time that a query was written.

    Args:
        path: the file.
        size: bytes of it that count, of a fill that goes on; what is behind them is cut off.

    Raises:
        ConfigurationError: FILL_FOLDER cannot be written.
    """

    def __init__(self, path: Path, size: int = 0) -> None:
        self._path = path
        self.size = size
        self._file = ResumedFile(path, size)

    def add(self, keys: Iterable[str]) -> None:
        """Note queries by the keys of their entries."""
        hashes = (blake2b(key.encode(), digest_size=_HASH_BYTES).digest() for key in keys)
        self.size += self._file.write(b"".join(hashes))

    def sync(self) -> None:
        """Bring to the disk what was noted."""
        self._file.sync()

    def distinct(self) -> int:
        """How many different queries there are; memory does not grow with their number.

        Two queries of a fill with 50 million get the same hash with a probability of 10^-4.
        """
        self._file.flush()
        if not self.size:
            return 0
        hashes = np.memmap(self._path, dtype=np.uint64, mode="r", shape=(self.size // _HASH_BYTES,))
        parts = -(-self.size // _BYTES_AT_ONCE)
        return sum(self._distinct_of(hashes, part, parts) for part in range(parts))

    def _distinct_of(self, hashes: np.ndarray, part: int, parts: int) -> int:
        """Of those that fall into one of so many parts."""
        step = _BYTES_AT_ONCE // _HASH_BYTES
        found = array("Q")
        for start in range(0, len(hashes), step):
            some = np.asarray(hashes[start : start + step])
            found.frombytes(some[some % np.uint64(parts) == part].tobytes())
        return len(np.unique(np.frombuffer(found, dtype=np.uint64)))

    def close(self) -> None:
        """Write out what is buffered."""
        self._file.close()
