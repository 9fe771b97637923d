"""A set of queries that keeps no texts: a digest of 16 bytes for each."""

from __future__ import annotations

import hashlib
from array import array

import numpy as np
from numpy.typing import NDArray

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
