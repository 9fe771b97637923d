"""Which marketplace a request of another server's shape is about."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import Request

from model_store.errors import InputError
from service.api.pair_checks import checked_known_marketplace
from service.settings import ServiceSettings

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
