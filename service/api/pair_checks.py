"""Checks a request's texts; every error names the field, as `pairs[3].product.title`."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from model_store.errors import InputError
from model_store.product import Product, QueryProductPair
from model_store.tables.values import text_of
from model_store.text import checked_marketplace, checked_optional_text, checked_text
from service.api.schemas.scores import PairBody, ProductBody, RankRequest
from service.settings import ServiceSettings

MAX_ID_CHARACTERS = 512


def checked_pairs(
    bodies: Sequence[PairBody], marketplaces: Collection[str], settings: ServiceSettings
) -> list[QueryProductPair]:
    """The pairs that a request asks for.

    Raises:
        InputError: none or too many pairs, an unknown marketplace, a text that is empty, over-long or broken.
    """
    check_count(len(bodies), "pairs", settings)
    limit = settings.max_text_characters
    return [checked_pair(body, f"pairs[{place}].", marketplaces, limit) for place, body in enumerate(bodies)]


def checked_ranking(
    body: RankRequest, marketplaces: Collection[str], settings: ServiceSettings
) -> list[QueryProductPair]:
    """The pairs of a query and its products.

    Raises:
        InputError: as `checked_pairs`.
    """
    check_count(len(body.products), "products", settings)
    limit = settings.max_text_characters
    marketplace = checked_known_marketplace(body.marketplace, marketplaces)
    query = checked_limited_text(body.query, "query", limit)
    return [
        QueryProductPair(marketplace, query, _checked_product(product, f"products[{place}]", limit))
        for place, product in enumerate(body.products)
    ]


def check_count(count: int, field: str, settings: ServiceSettings) -> None:
    """Whether so many pairs may be asked for at once.

    Raises:
        InputError: none, or more than MAX_PAIRS.
    """
    if not count:
        raise InputError(f"there is nothing to score; send at least one of {field}", field=field)
    if count > settings.max_pairs:
        raise InputError(
            f"{count} {field}; at most {settings.max_pairs} (MAX_PAIRS) go into one request; send several",
            field=field,
        )


def checked_known_marketplace(name: str, known: Collection[str], field: str = "marketplace") -> str:
    """The name as the model has it, if it knows it; case does not matter.

    Raises:
        InputError: lists the marketplaces that it knows.
    """
    if name in known:
        return name
    try:
        checked = checked_marketplace(name)
    except InputError as error:
        raise InputError(f"{error.problem}; known are {', '.join(known)}", field=field) from error
    if checked in known:
        return checked
    raise InputError(f"marketplace {name!r} is unknown; known are {', '.join(known)}", field=field)


def checked_limited_text(value: str, field: str, limit: int) -> str:
    """A text of at most `limit` characters.

    Raises:
        InputError: it is longer, empty or broken.
    """
    return checked_text(_limited(value, field, limit), field=field)


def checked_pair(body: PairBody, place: str, known: Collection[str], limit: int) -> QueryProductPair:
    """One pair; `place` stands before the names of its fields, as `pairs[3].`.

    Raises:
        InputError: as `checked_pairs`.
    """
    return QueryProductPair(
        marketplace=checked_known_marketplace(body.marketplace, known, f"{place}marketplace"),
        query=checked_limited_text(body.query, f"{place}query", limit),
        product=_checked_product(body.product, f"{place}product", limit),
    )


def _checked_product(body: ProductBody, place: str, limit: int) -> Product:
    def optional(name: str, value: str | None) -> str:
        field = f"{place}.{name}"
        return checked_optional_text(_limited(value or "", field, limit), field=field)

    return Product(
        id=checked_limited_text(body.id, f"{place}.id", MAX_ID_CHARACTERS),
        title=checked_limited_text(body.title, f"{place}.title", limit),
        brand=optional("brand", body.brand),
        color=optional("color", body.color),
        bullet_points=optional("bullet_points", text_of(body.bullet_points)),
        description=optional("description", body.description),
    )


def _limited(value: str, field: str, limit: int) -> str:
    if len(value) > limit:
        raise InputError(f"the text has {len(value)} characters; at most {limit} are accepted", field=field)
    return value
