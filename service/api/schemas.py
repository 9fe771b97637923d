"""Bodies of requests and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, protected_namespaces=())


class ProductBody(_Request):
    """A product; unknown fields are ignored, so that a catalogue's records can be sent as they are."""

    model_config = ConfigDict(extra="ignore")

    id: str = Field(examples=["B000IYZNFK"])
    title: str = Field(examples=["USB C Cable 2 m, braided"])
    brand: str | None = Field(default=None, examples=["Anker"])
    color: str | None = None
    bullet_points: str | None = None
    description: str | None = None


class PairBody(_Request):
    """A query and a product in one marketplace."""

    marketplace: str = Field(examples=["us"])
    query: str = Field(examples=["usb c cable"])
    product: ProductBody


class ScoreRequest(_Request):
    """Pairs to score, of one or several marketplaces."""

    pairs: list[PairBody]
    write_cache: bool = Field(default=True, description="write highly relevant pairs to the offline cache")
    explain: bool = Field(default=False, description="tell which marketplaces' adapters the scores came from")


class Explanation(_Answer):
    """The weight that the fusion gave to each marketplace's adapter; weights sum to 1."""

    adapters: dict[str, float] = Field(
        description="mean over tokens and layers", examples=[{"us": 0.71, "es": 0.29}]
    )
    layers: list[dict[str, float]] = Field(description="mean over tokens, layer by layer from the lowest")


class PairScore(_Answer):
    """The score of one pair: from 0 (not relevant) to 1."""

    score: float = Field(ge=0, le=1, examples=[0.9731])
    highly_relevant: bool = Field(description="the score reaches the marketplace's threshold")
    cached: bool = Field(description="the pair was written to the offline cache")
    truncated: list[Literal["query", "product"]] = Field(
        description="texts that were longer than the model reads", examples=[[]]
    )
    explanation: Explanation | None = Field(default=None, description="only where `explain` was asked for")


class CacheWriting(_Answer):
    """What was written to the cache, and why something was not."""

    written: int = Field(description="pairs of this request that are in the cache now")
    note: str | None = Field(description="why something was not written", examples=[None])


class ScoreAnswer(_Answer):
    """Scores in the order of the pairs."""

    model_version: int = Field(examples=[3])
    results: list[PairScore]
    cache: CacheWriting


class CachedProductAnswer(_Answer):
    """A highly relevant product."""

    id: str = Field(examples=["B000IYZNFK"])
    score: float = Field(examples=[0.9731])


class CacheLookupAnswer(_Answer):
    """What the cache knows of a query.

    `relevant`: products, best first. `nothing_relevant`: products were scored, none is highly relevant.
    `never_scored`: the cache does not know the query.
    """

    marketplace: str = Field(examples=["us"])
    query: str = Field(examples=["USB  C cable"])
    normalised_query: str = Field(examples=["usb c cable"])
    status: Literal["relevant", "nothing_relevant", "never_scored"]
    products: list[CachedProductAnswer]
    generation: int | None = Field(examples=[7])
    model_version: int | None = Field(examples=[3])
    created_at: datetime | None = Field(description="when the generation was begun")


class HealthAnswer(_Answer):
    """The process answers."""

    status: Literal["ok"] = "ok"


class ReadyAnswer(_Answer):
    """The service can score; `missing` names what it does without."""

    ready: bool = True
    model_version: int = Field(examples=[3])
    missing: list[str] = Field(examples=[[]])


class MarketplaceAnswer(_Answer):
    """A marketplace that the model knows; without a threshold nothing of it is highly relevant or cached."""

    name: str = Field(examples=["us"])
    language: str = Field(examples=["en"])
    threshold: float | None = Field(examples=[0.87])
    target_precision: float | None = Field(examples=[0.95])
    precision: float | None = Field(description="on validation data, at the threshold", examples=[0.953])
    recall: float | None = Field(examples=[0.41])
    validation_auc: float | None = Field(examples=[0.82])


class ModelAnswer(_Answer):
    """The model version that scores."""

    model_version: int = Field(examples=[3])
    parent: int | None
    created_at: datetime
    device: str = Field(examples=["cpu"])
    engine: str = Field(description="backend and precision", examples=["onnxruntime-int8"])
    base_encoder: str
    interaction: str = Field(examples=["two_tower"])
    product_fields: list[str] = Field(examples=[["title"]])
    marketplaces: list[MarketplaceAnswer]
