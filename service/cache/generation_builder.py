"""Writes what a fill scores into a generation that nobody reads yet: fast, in any order, any number of times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from model_store.query_normalisation import normalised_query
from service.cache.generations import Generation
from service.cache.keys import entries_prefix, query_part
from service.cache.look_ups import SCORE_SCALE
from service.cache.server.commands import PIPELINE_COMMANDS, PackedScript, Script, bulk, script_load
from service.cache.store import CacheStore

_FILL_ENTRIES = Script.from_file("fill_entries.lua")
_PACKED_SCRIPT = PackedScript(_FILL_ENTRIES)
_PACKED_LOAD = script_load(_FILL_ENTRIES)
_PACKED_SCORES = tuple(bulk(b"%d" % score) for score in range(SCORE_SCALE + 1))
_MOST_PRODUCTS = 1000
_KEYS_OF_A_CALL = 50

ScoredProduct = tuple[int, str]
"""round(score * 10^4), and the product's id."""
_Part = tuple[str, Sequence[ScoredProduct]]


class GenerationBuilder:
    """Joins products into the entries of a generation (see `fill_entries.lua`).

    An entry ends as the best products of its query, whatever was written twice or in another order: a fill that
    was killed repeats what it is not sure of.
    """

    def __init__(self, cache: CacheStore, generation: Generation) -> None:
        self._connection = cache.connection
        self._cap = cache.cap
        self._life = cache.life
        self._prefix = entries_prefix(generation.marketplace, generation.number)
        self._rule = generation.normalisation

    def key(self, query: str) -> str:
        """The key of a query's entry."""
        return self._prefix + query_part(normalised_query(query, self._rule))

    async def write(self, products: Mapping[str, Sequence[ScoredProduct]]) -> None:
        """Join products by key; an empty list says that none of this part is relevant.

        Raises:
            CacheUnavailableError: the server does not answer; some of it may have been written.
        """
        parts = self._parts(products)
        while some := list(islice(parts, PIPELINE_COMMANDS)):
            if self._connection.is_cluster:
                await self._connection.run_script(_FILL_ENTRIES, [self._plain(*part) for part in some])
            else:
                calls = range(0, len(some), _KEYS_OF_A_CALL)
                packed = [self._packed(some[start : start + _KEYS_OF_A_CALL]) for start in calls]
                await self._connection.send_packed([_PACKED_LOAD, *packed])

    def _parts(self, products: Mapping[str, Sequence[ScoredProduct]]) -> Iterator[_Part]:
        for key, found in products.items():
            best = found if len(found) <= self._cap else _best(found, self._cap)
            for start in range(0, max(len(best), 1), _MOST_PRODUCTS):
                yield key, best[start : start + _MOST_PRODUCTS]

    def _plain(self, key: str, products: Sequence[ScoredProduct]) -> tuple[str, list[str | int]]:
        flat = [item for product in products for item in product]
        return key, [self._cap, self._milliseconds(key), len(products), *flat]

    def _packed(self, parts: Sequence[_Part]) -> bytes:
        arguments = [bulk(b"%d" % self._cap)]
        for key, products in parts:
            arguments.append(bulk(b"%d" % self._milliseconds(key)))
            arguments.append(bulk(b"%d" % len(products)))
            for score, product_id in products:
                name = product_id.encode()
                arguments.append(_PACKED_SCORES[score])
                arguments.append(b"$%d\r\n%b\r\n" % (len(name), name))
        return _PACKED_SCRIPT.call([bulk(key.encode()) for key, _ in parts], arguments)

    def _milliseconds(self, key: str) -> int:
        return self._life.milliseconds(key) if self._life else 0


def _best(products: Sequence[ScoredProduct], cap: int) -> Sequence[ScoredProduct]:
    """As the script chooses: of a product the best score, of equal scores the larger ids."""
    best: dict[str, int] = {}
    for score, name in products:
        best[name] = max(score, best.get(name, 0))
    return sorted(((score, name) for name, score in best.items()), reverse=True)[:cap]
