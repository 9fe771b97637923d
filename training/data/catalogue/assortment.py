"""Which items, brands, lines and models a marketplace deals in, and how often."""

from __future__ import annotations

from itertools import accumulate
from random import Random

from training.data.catalogue.lexicon import Item, Lexicon
from training.data.catalogue.marketplaces import Marketplace, brands_by_category
from training.data.catalogue.words import Entry

_PERCENT = 100
# Few types make most of the traffic, so that what only experience tells recurs over many queries.
_ZIPF_IN_DOMINANT_CATEGORIES = 0.9
_ZIPF_IN_OTHER_CATEGORIES = 2.0
_HOUSE_BRANDED = 0.45
_MODEL_LETTERS = "ABCDEGHKLMNPRSTVXZ"


class Assortment:
    """Draws what one marketplace sells; `name` fixes which types are popular there."""

    def __init__(self, name: str, marketplace: Marketplace, lexicon: Lexicon) -> None:
        self._name = name
        self._marketplace = marketplace
        self._lexicon = lexicon
        self._brand_of_type = marketplace.brand_of_type
        self._types = {category: self._by_popularity(category) for category in lexicon.categories}
        weights = self._type_weights()
        self._all_types = list(weights)
        self._cumulated = list(accumulate(weights.values()))

    def type(self, random: Random) -> Item:
        """A type, as often as shoppers ask for it."""
        return random.choices(self._all_types, cum_weights=self._cumulated)[0]

    def other_type(self, item: Item, random: Random) -> Item:
        """Another type of the same category, each as likely as the others."""
        return random.choice([other for other in self._types[item.category] if other.key != item.key])

    def accessory(self, item: Item, random: Random) -> Item:
        """An accessory of a type; the first is the one most sold."""
        keys = item.accessories
        return self._lexicon.items[keys[0] if random.random() < 0.6 else random.choice(keys)]

    def main_item(self, item: Item) -> Item:
        """The type that an accessory belongs to; a type itself."""
        return self._lexicon.items[item.of] if item.of else item

    def sibling(self, item: Item, random: Random) -> Item | None:
        """A type that shoppers accept instead, if there is one."""
        return self._lexicon.items[random.choice(sorted(item.siblings))] if item.siblings else None

    def house_brand(self, item: Item) -> str:
        """The house brand of a type, or ""."""
        return self._brand_of_type.get(item.key, "")

    def is_house_brand(self, brand: str) -> bool:
        """Whether a brand is known for a single type here."""
        return brand in self._marketplace.house_brands

    def brand(self, item: Item, random: Random, *, but: str = "") -> str:
        """A brand that sells the item, other than `but`."""
        house = self.house_brand(item)
        if house and house != but and random.random() < _HOUSE_BRANDED:
            return house
        return random.choice([brand for brand in brands_by_category()[item.category] if brand != but])

    def line(self, brand: str, random: Random, *, but: str = "") -> str:
        """A product line of a house brand, other than `but`; "" for other brands."""
        if not self.is_house_brand(brand):
            return ""
        return random.choice([line for line in self._marketplace.house_brands[brand][1:] if line != but])

    def values(self, item: Item, count: int, random: Random, taken: tuple[Entry, ...] = ()) -> tuple[Entry, ...]:
        """At most `count` values that fit the item, of attributes that `taken` does not settle."""
        by_kind: dict[str, list[Entry]] = {}
        for entry in self._lexicon.values[item.key]:
            by_kind.setdefault(entry.kind, []).append(entry)
        free = [kind for kind in by_kind if kind not in {entry.kind for entry in taken}]
        chosen = random.sample(free, min(count, len(free)))
        return tuple(random.choice(by_kind[kind]) for kind in chosen)

    def fitting(self, item: Item, values: tuple[Entry, ...]) -> tuple[Entry, ...]:
        """Those of `values` that fit the item."""
        known = self._lexicon.values[item.key]
        return tuple(entry for entry in values if entry in known)

    def model(self, random: Random) -> str:
        """A model code such as "KX-240"."""
        letters = "".join(random.choices(_MODEL_LETTERS, k=2))
        return f"{letters}-{random.randrange(10, 99)}0"

    def _by_popularity(self, category: str) -> list[Item]:
        types = self._lexicon.types_of(category)
        Random(f"popularity:{self._name}:{category}").shuffle(types)
        return sorted(types, key=lambda item: not self.house_brand(item))

    def _type_weights(self) -> dict[Item, float]:
        dominant = self._marketplace.categories
        rest = (_PERCENT - sum(dominant.values())) / (len(self._types) - len(dominant))
        weights: dict[Item, float] = {}
        for category, types in self._types.items():
            zipf = _ZIPF_IN_DOMINANT_CATEGORIES if category in dominant else _ZIPF_IN_OTHER_CATEGORIES
            shares = [1.0 / rank**zipf for rank in range(1, len(types) + 1)]
            total = dominant.get(category, rest) / sum(shares)
            weights |= {item: total * share for item, share in zip(types, shares, strict=True)}
        return weights
