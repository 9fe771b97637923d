"""Draws what shoppers ask for, and offers of a wished judgement for it."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from training.data.catalogue.assortment import Assortment
from training.data.catalogue.judgement import Esci, Intent, Offer, judge
from training.data.catalogue.lexicon import Item
from training.data.catalogue.words import Entry

_BY_BRAND_ALONE = 0.3
_FOR_ACCESSORY = 0.1
_WITH_BRAND = 0.3
_WITH_LINE = 0.4
_ATTRIBUTES_ASKED = (0, 1, 1, 1, 2, 2)
_SIBLING = 0.4
_TITLE_WITHOUT_ITEM = 0.25
_HARD = 0.5
_OF_OTHER_ACCESSORIES = 0.25
_EXTRA_ATTRIBUTES = (1, 2)
# A random item is seldom related to the one asked for.
_TRIES = 50


class Shopping:
    """Draws intents and offers of one marketplace from one state of `random`."""

    def __init__(self, assortment: Assortment, random: Random) -> None:
        self._assortment = assortment
        self._random = random

    def intent(self) -> Intent:
        """What a shopper wants: an item in words, a house brand alone, or an accessory."""
        item = self._assortment.type(self._random)
        house = self._assortment.house_brand(item)
        if house and self._chance(_BY_BRAND_ALONE):
            return self._brand_alone(item, house)
        if self._chance(_FOR_ACCESSORY):
            accessory = self._assortment.accessory(item, self._random)
            return Intent(
                accessory, values=self._assortment.values(accessory, self._random.randint(0, 1), self._random)
            )
        brand = self._assortment.brand(item, self._random) if self._chance(_WITH_BRAND) else ""
        return Intent(item, brand, values=self._asked(item))

    def offer(self, intent: Intent, wished: Esci) -> Offer:
        """An offer that is judged `wished`, or as near as the intent allows: who asks for nothing but an item
        without siblings has no substitutes."""
        if wished == "E":
            return self._exact(intent)
        if wished == "S":
            return self._substitute(intent)
        if wished == "C":
            return self._complement(intent)
        return self._irrelevant(intent)

    def _brand_alone(self, item: Item, brand: str) -> Intent:
        line = self._assortment.line(brand, self._random) if self._chance(_WITH_LINE) else ""
        values = self._assortment.values(item, self._random.choice((0, 1, 1)), self._random)
        return Intent(item, brand, line, values, names_item=False)

    def _asked(self, item: Item) -> tuple[Entry, ...]:
        return self._assortment.values(item, self._random.choice(_ATTRIBUTES_ASKED), self._random)

    def _exact(self, intent: Intent) -> Offer:
        return self._made(intent.item, intent.values, brand=intent.brand, line=intent.line)

    def _substitute(self, intent: Intent) -> Offer:
        sibling = self._assortment.sibling(intent.item, self._random)
        if sibling is not None and self._chance(_SIBLING):
            return self._made(sibling, self._assortment.fitting(sibling, intent.values))
        exact = self._exact(intent)
        if intent.values and (not intent.brand or self._chance(0.5)):
            return self._with_another_value(exact, self._random.choice(intent.values))
        if intent.brand:
            return self._made(intent.item, intent.values, but=intent.brand)
        return exact

    def _with_another_value(self, offer: Offer, asked: Entry) -> Offer:
        others = tuple(value for value in offer.values if value is not asked)
        for _ in range(_TRIES):
            values = self._assortment.values(offer.item, 1, self._random, others)
            if values and asked not in values:
                return replace(offer, values=others + values)
        return replace(offer, values=others or offer.values)

    def _complement(self, intent: Intent) -> Offer:
        if intent.item.of:
            return self._made(self._assortment.main_item(intent.item), intent.values)
        accessory = self._assortment.accessory(intent.item, self._random)
        return self._made(accessory, self._assortment.fitting(accessory, intent.values), fits=intent.brand)

    def _irrelevant(self, intent: Intent) -> Offer:
        for _ in range(_TRIES):
            offer = self._near(intent) if self._chance(_HARD) else self._anything()
            if judge(intent, offer) == "I":
                return offer
        return self._anything()

    def _near(self, intent: Intent) -> Offer:
        """Another item of the category that shares the brand and attributes asked for."""
        item = self._assortment.other_type(self._assortment.main_item(intent.item), self._random)
        if self._chance(_OF_OTHER_ACCESSORIES):
            item = self._assortment.accessory(item, self._random)
        return self._made(item, self._assortment.fitting(item, intent.values), brand=intent.brand)

    def _anything(self) -> Offer:
        item = self._assortment.type(self._random)
        if self._chance(_FOR_ACCESSORY):
            item = self._assortment.accessory(item, self._random)
        return self._made(item, ())

    def _made(
        self,
        item: Item,
        values: tuple[Entry, ...],
        *,
        brand: str = "",
        line: str = "",
        but: str = "",
        fits: str = "",
    ) -> Offer:
        brand = brand or self._assortment.brand(item, self._random, but=but)
        line = line or self._assortment.line(brand, self._random)
        extra = self._assortment.values(item, self._random.choice(_EXTRA_ATTRIBUTES), self._random, values)
        implied = brand == self._assortment.house_brand(item) and self._chance(_TITLE_WITHOUT_ITEM)
        return Offer(
            item,
            brand,
            line,
            self._assortment.model(self._random),
            values + extra,
            fits=self._fitting_model(item, fits) if item.of else "",
            names_item=not implied,
        )

    def _fitting_model(self, item: Item, brand: str) -> str:
        main = self._assortment.main_item(item)
        return f"{brand or self._assortment.brand(main, self._random)} {self._assortment.model(self._random)}"

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability
