"""Names of all keys in Redis. Every command and script touches one key, hence one slot of a cluster.

    rc1n1:active:us                number of the generation that is read
    rc1n1:counter:us               last number given to a generation
    rc1n1:generations:us           set of the numbers that exist
    rc1n1:generation:us:7          record of generation 7, JSON
    rc1n1:removed:us               sorted set of the products taken off sale, id -> number of the change
    rc1n1:fill:us                  who fills at present; expires
    rc1n1:checkpoint:us:7          up to which checkpoint of its fill generation 7 is written
    rc1n1:e:us:7:q:usb c cable     sorted set, product id -> round(score * 10^4)
    rc1n1:e:us:7:h:9f86d081...     the same for a long query, by its digest

`rc1n1` is the version of this layout. The version of the rule that normalises a generation's queries stands
in its record. No hash tag: the queries of a marketplace spread over the cluster.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass

from model_store.query_normalisation import NORMALISATION_VERSION, normalised_query


@dataclass(frozen=True, slots=True)
class TimeToLive:
    """An entry lives `seconds` to `seconds * (1 + jitter)`, evenly spread and always the same for a key."""

    seconds: float
    jitter: float = 0.1

    def milliseconds(self, key: str) -> int:
        """The time to live of the entry at a key."""
        place = zlib.crc32(key.encode()) / 2**32
        return round(1000 * self.seconds * (1 + self.jitter * place))


LONGEST_QUERY_BYTES = 64
"""Longer normalised queries are replaced by a digest, so that a key's size is bounded."""

_PREFIX = "rc1n1"
_DIGEST_BYTES = 16


def active_key(marketplace: str) -> str:
    """Pointer to the generation that readers see."""
    return f"{_PREFIX}:active:{marketplace}"


def counter_key(marketplace: str) -> str:
    """Counter that numbers generations."""
    return f"{_PREFIX}:counter:{marketplace}"


def generations_key(marketplace: str) -> str:
    """Set of the numbers of all generations that exist."""
    return f"{_PREFIX}:generations:{marketplace}"


def record_key(marketplace: str, generation: int) -> str:
    """A generation's record."""
    return f"{_PREFIX}:generation:{marketplace}:{generation}"


def removed_key(marketplace: str) -> str:
    """Products taken off sale, id -> number of the change; the empty member has the number of the last one."""
    return f"{_PREFIX}:removed:{marketplace}"


def fill_lock_key(marketplace: str) -> str:
    """Held by the one fill of a marketplace that may run."""
    return f"{_PREFIX}:fill:{marketplace}"


def checkpoint_key(marketplace: str, generation: int) -> str:
    """Number of the last checkpoint of a generation's fill, while it is built."""
    return f"{_PREFIX}:checkpoint:{marketplace}:{generation}"


def entries_prefix(marketplace: str, generation: int) -> str:
    """What all entries of a generation start with."""
    return f"{_PREFIX}:e:{marketplace}:{generation}:"


def entry_key(marketplace: str, generation: int, query: str, normalisation: int = NORMALISATION_VERSION) -> str:
    """The sorted set of a query, which is normalised here by the generation's version of the rule."""
    return entries_prefix(marketplace, generation) + query_part(normalised_query(query, normalisation))


def query_part(normalised: str) -> str:
    """`q:` and the query, or `h:` and its BLAKE2b-128 digest if it is longer than `LONGEST_QUERY_BYTES`."""
    encoded = normalised.encode()
    if len(encoded) <= LONGEST_QUERY_BYTES:
        return f"q:{normalised}"
    return f"h:{hashlib.blake2b(encoded, digest_size=_DIGEST_BYTES).hexdigest()}"


def marketplace_prefix(marketplace: str) -> str:
    """What all entries of a marketplace start with."""
    return f"{_PREFIX}:e:{marketplace}:"


def generation_of(key: bytes, marketplace: str) -> int:
    """Which generation an entry's key belongs to."""
    return int(key[len(marketplace_prefix(marketplace)) :].split(b":", 1)[0])
