"""Puts intents and offers into a marketplace's words: queries, titles and the other product fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from training.data.catalogue.judgement import Intent, Offer
from training.data.catalogue.lexicon import Item, Lexicon
from training.data.catalogue.marketplaces import Marketplace
from training.data.catalogue.words import DEFAULT_GENDER, Entry

# Shoppers use a synonym or slang more often than not, sellers seldom a synonym and never slang.
_SYNONYM_IN_QUERY = 0.55
_SYNONYM_IN_TITLE = 0.25
_SLANG = 2
_FILLER_IN_QUERY_BY_BRAND = 0.3
_BULLET_POINTS = 0.25
_BRAND_FIELD = 0.7
_COLOR_FIELD = 0.6

_UNITS = frozenset({"ml", "kg"})
_NO_SPACE_BEFORE = frozenset(",.:)】")
_NO_SPACE_AFTER = frozenset("(【")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text: a word of `entry`, or a brand, code or punctuation mark without one."""

    text: str
    entry: Entry | None = None


@dataclass(frozen=True, slots=True)
class Fields:
    """A product's texts; all but the title may be empty."""

    title: str
    brand: str = ""
    color: str = ""
    bullet_points: str = ""


def joined(pieces: Sequence[Piece], separator: str = " ") -> str:
    """The pieces as one text, with punctuation where it belongs."""
    text = ""
    for piece in pieces:
        glued = not text or text[-1] in _NO_SPACE_AFTER or piece.text[0] in _NO_SPACE_BEFORE
        text += piece.text if glued else separator + piece.text
    return text


class Wording:
    """Writes the texts of one marketplace; draws its choices from `random`."""

    def __init__(self, marketplace: Marketplace, lexicon: Lexicon, random: Random) -> None:
        self._marketplace = marketplace
        self._language = marketplace.language
        self._lexicon = lexicon
        self._random = random
        self._marketing = [entry for entry in lexicon.phrases.values() if entry.kind == "marketing"]

    def query(self, intent: Intent) -> list[Piece]:
        """What a shopper types, before anything goes wrong."""
        pattern = self._pattern(self._marketplace.queries) if intent.names_item else self._brand_pattern()
        noun, gender = self._noun(intent.item, _SYNONYM_IN_QUERY, slang=True)
        slots = {
            "brand": [Piece(intent.brand), Piece(intent.line)],
            "type": [noun],
            "attributes": self._values(intent.values, gender if intent.names_item else DEFAULT_GENDER),
            "filler": [self._filler()],
        }
        # A pattern without a brand is for those who ask for none.
        if intent.brand and "brand" not in pattern:
            pattern = ["brand", *pattern]
        return _filled(pattern, slots)

    def title(self, offer: Offer) -> list[Piece]:
        """What a seller calls the product."""
        pattern = self._pattern(self._marketplace.titles)
        noun, gender = self._noun(offer.item, _SYNONYM_IN_TITLE, slang=False)
        marketing = self._random.choice(self._marketing)
        slots = {
            "brand": [Piece(offer.brand)],
            "line": [Piece(offer.line)],
            "type": [noun, *self._compatibility(offer)] if offer.names_item else [],
            "attributes": self._values(offer.values, gender if offer.names_item else DEFAULT_GENDER),
            "model": [Piece(offer.model)],
            "marketing": [Piece(marketing.name(self._language), marketing)],
        }
        return _filled(pattern, slots)

    def fields(self, offer: Offer) -> Fields:
        """The product's texts; sellers fill in some of them."""
        title = joined(self.title(offer))
        colors = [value.name(self._language) for value in offer.values if value.kind == "color"]
        bullets = self._random.sample(self._marketing, 2)
        return Fields(
            title=self._cased(title),
            brand=offer.brand if self._random.random() < _BRAND_FIELD else "",
            color="".join(colors) if self._random.random() < _COLOR_FIELD else "",
            bullet_points="; ".join(entry.name(self._language) for entry in bullets)
            if self._random.random() < _BULLET_POINTS
            else "",
        )

    def separator(self) -> str:
        """What a shopper puts between words: mostly a space, in some marketplaces often nothing."""
        return "" if self._random.random() < self._marketplace.joined else " "

    def _pattern(self, patterns: dict[str, int]) -> list[str]:
        return self._random.choices(list(patterns), list(patterns.values()))[0].split()

    def _brand_pattern(self) -> list[str]:
        pattern = ["brand", "attributes"]
        if self._random.random() < _FILLER_IN_QUERY_BY_BRAND:
            pattern.insert(self._random.choice((0, 2)), "filler")
        return pattern

    def _noun(self, item: Item, synonyms: float, *, slang: bool) -> tuple[Piece, str]:
        words = item.entry.words[self._language]
        others = words[1:] if slang else words[1:_SLANG]
        word = self._random.choice(others) if others and self._random.random() < synonyms else words[0]
        return Piece(word.forms[0], item.entry), word.gender

    def _values(self, values: tuple[Entry, ...], gender: str) -> list[Piece]:
        ordered = self._random.sample(values, len(values))
        return [
            Piece(self._random.choice(entry.words[self._language]).agreeing(self._language, gender), entry)
            for entry in ordered
        ]

    def _filler(self) -> Piece:
        entry = self._lexicon.phrases[self._random.choice(self._marketplace.fillers)]
        return Piece(self._random.choice(entry.words[self._language]).forms[0], entry)

    def _compatibility(self, offer: Offer) -> list[Piece]:
        if not offer.fits:
            return []
        entry = self._lexicon.phrases["fits"]
        fits = [Piece(self._random.choice(entry.words[self._language]).forms[0], entry), Piece(offer.fits)]
        # Japanese puts what it fits first.
        return fits[::-1] if self._language == "ja" else fits

    def _cased(self, title: str) -> str:
        if self._language == "en":
            return " ".join(_title_cased(word) for word in title.split(" "))
        return title[:1].upper() + title[1:]


def _filled(pattern: Sequence[str], slots: dict[str, list[Piece]]) -> list[Piece]:
    pieces = [piece for slot in pattern for piece in slots.get(slot, [Piece(slot)])]
    return [piece for piece in pieces if piece.text]


def _title_cased(word: str) -> str:
    return word if word in _UNITS else word[:1].upper() + word[1:]
