"""Scores for routes of other servers' shapes: texts instead of products, and nothing is cached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request

from model_store.errors import InputError
from model_store.product import Product, QueryProductPair
from model_store.text import checked_text
from service.api.pair_checks import check_count, checked_known_marketplace
from service.api.scoring import verdicts_for_client
from service.settings import ServiceSettings
from service.state import ServiceState

HEADER = "X-Marketplace"


def chosen_marketplace(
    request: Request, model: str | None, known: Sequence[str], settings: ServiceSettings
) -> str:
    """What stands behind the colon of `model` (`relevance:es`), or the header, DEFAULT_MARKETPLACE, the only one.

    Raises:
        InputError: the marketplace is unknown, or none of these tells it.
    """
    _, colon, behind = (model or "").rpartition(":")
    if colon:
        return checked_known_marketplace(behind, known, "model")
    header = request.headers.get(HEADER)
    if header is not None:
        return checked_known_marketplace(header, known, HEADER)
    if settings.default_marketplace is not None:
        return checked_known_marketplace(settings.default_marketplace, known, "DEFAULT_MARKETPLACE")
    if len(known) == 1:
        return known[0]
    raise InputError(
        f"which marketplace? Send model {settings.served_model_name}:{known[0]} or the header {HEADER}, "
        f"or set DEFAULT_MARKETPLACE; known are {', '.join(known)}",
        field="model",
    )


@dataclass(frozen=True, slots=True)
class NamedText:
    """A text and the field it came in."""

    text: str
    field: str


@dataclass(frozen=True, slots=True)
class TextScores:
    """In the order of the texts."""

    model: str
    scores: list[float]
    tokens: int


async def text_scores(
    request: Request,
    state: ServiceState,
    model: str | None,
    pairs: Sequence[tuple[NamedText, NamedText]],
    *,
    field: str,
    raw: bool,
) -> TextScores:
    """Scores of (query, document) texts; over-long ones are cut as these servers do.

    Args:
        field: what an error names where there are none, or too many.

    Raises:
        InputError: none or too many, a blank or broken text, no marketplace.
    """
    scorer = state.model.required_scorer()
    settings = state.settings
    marketplace = chosen_marketplace(request, model, scorer.marketplaces, settings)
    check_count(len(pairs), field, settings)
    limit = settings.max_text_characters
    checked: dict[NamedText, str] = {}
    for named in (named for pair in pairs for named in pair):
        if named not in checked:
            checked[named] = checked_text(named.text[:limit], field=named.field)
    asked = [
        QueryProductPair(marketplace, checked[query], Product(str(place), checked[document]))
        for place, (query, document) in enumerate(pairs)
    ]
    found = await verdicts_for_client(request, state, scorer, asked)
    scores = found.scored.logits.tolist() if raw else found.scored.scores
    return TextScores(f"{settings.served_model_name}:{marketplace}", scores, found.scored.tokens)
