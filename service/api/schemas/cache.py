"""Bodies of requests to the cache's routes and of their answers."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from service.api.schemas.scores import AnswerBody, RequestBody


class CachedProductAnswer(AnswerBody):
    """A highly relevant product."""

    id: str = Field(examples=["B000IYZNFK"])
    score: float = Field(examples=[0.9731])


class CacheLookupAnswer(AnswerBody):
    """What the cache knows of a query.

    `relevant`: products, best first. `nothing_relevant`: products were scored, none is highly relevant.
    `never_scored`: the cache does not know the query. `expired`: nor does it now, but an entry may have expired.
    """

    marketplace: str = Field(examples=["us"])
    query: str = Field(examples=["USB  C cable"])
    normalised_query: str = Field(examples=["usb c cable"])
    status: Literal["relevant", "nothing_relevant", "never_scored", "expired"]
    products: list[CachedProductAnswer]
    generation: int | None = Field(examples=[7])
    model_version: int | None = Field(examples=[3])
    created_at: datetime | None = Field(
        description="when the generation was begun", examples=["2026-11-23T10:25:02.087080Z"]
    )


class LookupRequest(RequestBody):
    """Queries to look up in one marketplace."""

    queries: list[str] = Field(min_length=1, max_length=1000, examples=[["usb c cable", "sofa"]])
    min_score: float = Field(default=0.0, ge=0, le=1, description="leave out lower scores")
    limit: int | None = Field(
        default=None, ge=1, le=10_000, description="at most so many products of a query", examples=[20]
    )


class LookupsAnswer(AnswerBody):
    """What the cache knows of each query, in their order, all from one generation."""

    answers: list[CacheLookupAnswer]


class GenerationAnswer(AnswerBody):
    """A generation of a marketplace; `active` is the one that is read."""

    generation: int = Field(examples=[7])
    model_version: int = Field(examples=[3])
    state: Literal["building", "complete", "open"]
    active: bool
    previous: int | None = Field(description="where a rollback leads", examples=[6])
    queries: int | None = Field(examples=[1200])
    pairs: int | None = Field(examples=[18_000])
    created_at: datetime = Field(examples=["2026-11-23T10:25:02.087080Z"])
    expires_from: datetime | None = Field(description="from when entries may have expired", examples=[None])


class GenerationsAnswer(AnswerBody):
    """The generations of a marketplace, the newest first."""

    generations: list[GenerationAnswer]


class PurgeAnswer(AnswerBody):
    """How many entries, or for a query generations, something was removed from."""

    removed_from: int = Field(ge=0, examples=[12])
