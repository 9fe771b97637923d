"""Generates the catalogue's queries with judged products; equal arguments give equal rows everywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

from model_store.errors import InputError
from model_store.product import Product, QueryProductPair
from training.data.catalogue.assortment import Assortment
from training.data.catalogue.judgement import RELEVANT, Esci, Intent, Offer, judge
from training.data.catalogue.lexicon import load_lexicon
from training.data.catalogue.marketplaces import marketplace_named
from training.data.catalogue.noise import Noise, noisy_query
from training.data.catalogue.shopping import Shopping
from training.data.catalogue.wording import Fields, Piece, Wording, joined
from training.data.pairs import RelevancePair

CANDIDATES: Mapping[Esci, float] = MappingProxyType({"E": 0.2, "S": 0.16, "C": 0.14, "I": 0.5})
"""Shares of the judgements among what a search engine retrieves."""

_PRODUCTS_PER_QUERY = (6, 10)
_JUDGED: Mapping[Esci, float] = MappingProxyType({"E": 0.35, "S": 0.22, "C": 0.16, "I": 0.27})
_DEFAULT_NOISE = Noise()
# A query drawn again is drawn anew, but there are only so many.
_TRIES = 20


@dataclass(frozen=True, slots=True)
class JudgedOffer:
    """A pair with the reason for its label."""

    intent: Intent
    offer: Offer
    esci: Esci
    pair: QueryProductPair
    query_pieces: tuple[Piece, ...]


class CatalogueGenerator:
    """Draws queries of one marketplace, each with products of the wished judgements.

    Raises:
        InputError: the catalogue has no such marketplace.
    """

    def __init__(self, marketplace: str, seed: int, purpose: str, noise: Noise) -> None:
        profile = marketplace_named(marketplace)
        lexicon = load_lexicon()
        # A text as the seed is hashed the same way by every Python on every platform.
        self._random = Random(f"{purpose}:{marketplace}:{seed}")
        self._marketplace = marketplace
        self._language = profile.language
        self._noise = noise
        self._shopping = Shopping(Assortment(marketplace, profile, lexicon), self._random)
        self._wording = Wording(profile, lexicon, self._random)
        self._seen: set[str] = set()

    def query_with(self, products: int, wished: Mapping[Esci, float]) -> Iterator[JudgedOffer]:
        """Draw a query and that many different products, judged in about the wished proportions."""
        intent, pieces, query = self._new_query()
        ids: set[str] = set()
        kinds, weights = list(wished), list(wished.values())
        while len(ids) < products:
            offer = self._shopping.offer(intent, self._random.choices(kinds, weights)[0])
            product = self._product(offer)
            if product.id not in ids:
                ids.add(product.id)
                pair = QueryProductPair(self._marketplace, query, product)
                yield JudgedOffer(intent, offer, judge(intent, offer), pair, pieces)

    def judged(self) -> Iterator[JudgedOffer]:
        """Judged offers without end, query after query."""
        while True:
            yield from self.query_with(self._random.randint(*_PRODUCTS_PER_QUERY), _JUDGED)

    def _new_query(self) -> tuple[Intent, tuple[Piece, ...], str]:
        for _ in range(_TRIES):
            intent = self._shopping.intent()
            pieces = self._wording.query(intent)
            if self._random.random() < self._noise.shuffled:
                self._random.shuffle(pieces)
            query = self._typed(pieces)
            if query not in self._seen:
                break
        self._seen.add(query)
        return intent, tuple(pieces), query

    def _typed(self, pieces: list[Piece]) -> str:
        text = joined(pieces, self._wording.separator()).lower()
        return noisy_query(text, self._language, self._noise, self._random)

    def _product(self, offer: Offer) -> Product:
        fields = self._wording.fields(offer)
        return Product(self._product_id(fields), fields.title, fields.brand, fields.color, fields.bullet_points)

    def _product_id(self, fields: Fields) -> str:
        """An id that depends on the product alone: equal in rows of any seed, different for others."""
        text = "\x1f".join((fields.title, fields.brand, fields.color, fields.bullet_points))
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        return f"{self._marketplace}-P{int.from_bytes(digest, 'big') % 10**12:012d}"


def draw_judged(marketplace: str, pairs: int, seed: int, noise: Noise = _DEFAULT_NOISE) -> list[JudgedOffer]:
    """Draw `pairs` judged offers with their provenance.

    Raises:
        InputError: unknown marketplace, or fewer than one pair.
    """
    _check_positive(pairs, "pairs")
    drawn = CatalogueGenerator(marketplace, seed, "pairs", noise).judged()
    return [next(drawn) for _ in range(pairs)]


def generate_judged(
    marketplace: str, pairs: int, seed: int, noise: Noise = _DEFAULT_NOISE
) -> list[tuple[RelevancePair, Esci]]:
    """Generate labelled pairs of one marketplace with their ESCI judgements.

    Raises:
        InputError: unknown marketplace, or fewer than one pair.
    """
    flips = Random(f"labels:{marketplace}:{seed}")
    return [
        (RelevancePair.of(judged.pair, _label(judged.esci, noise, flips)), judged.esci)
        for judged in draw_judged(marketplace, pairs, seed, noise)
    ]


def generate_pairs(marketplace: str, pairs: int, seed: int, noise: Noise = _DEFAULT_NOISE) -> list[RelevancePair]:
    """Generate labelled pairs of one marketplace, about 55 % of them relevant, 6 to 10 a query.

    Raises:
        InputError: unknown marketplace, or fewer than one pair.
    """
    return [pair for pair, _ in generate_judged(marketplace, pairs, seed, noise)]


def generate_candidates(
    marketplace: str, queries: int, products_per_query: int, seed: int
) -> list[QueryProductPair]:
    """Generate unlabelled pairs such as a search engine retrieves, about 36 % of them relevant.

    Raises:
        InputError: unknown marketplace, or fewer than one query or product.
    """
    _check_positive(queries, "queries")
    _check_positive(products_per_query, "products_per_query")
    generator = CatalogueGenerator(marketplace, seed, "candidates", _DEFAULT_NOISE)
    return [
        judged.pair for _ in range(queries) for judged in generator.query_with(products_per_query, CANDIDATES)
    ]


def _label(esci: Esci, noise: Noise, random: Random) -> int:
    label = int(esci in RELEVANT)
    return 1 - label if random.random() < noise.labels else label


def _check_positive(value: int, field: str) -> None:
    if value < 1:
        raise InputError(f"{value} is too few: ask for 1 or more", source="catalogue", field=field)
