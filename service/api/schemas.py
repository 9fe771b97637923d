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
    raw_scores: bool = Field(default=False, description="also give the logits that the scores came from")


class RankRequest(_Request):
    """A query and the products to put in order."""

    marketplace: str = Field(examples=["us"])
    query: str = Field(examples=["usb c cable"])
    products: list[ProductBody]
    top_n: int | None = Field(default=None, ge=1, description="give at most so many; all without it")
    only_highly_relevant: bool = Field(default=False, description="leave the others out")
    write_cache: bool = Field(default=True, description="write highly relevant pairs to the offline cache")
    raw_scores: bool = Field(default=False, description="also give the logits that the scores came from")


class CompareRequest(_Request):
    """Pairs to score with several stored versions; nothing is cached."""

    pairs: list[PairBody]
    versions: list[int] = Field(min_length=1, max_length=4, examples=[[2, 3]])


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
    raw_score: float | None = Field(default=None, description="only where `raw_scores` was asked for")
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


class RankedProduct(PairScore):
    """A product in its place: `index` is where it stood in the request."""

    index: int = Field(ge=0, examples=[0])
    id: str = Field(examples=["B000IYZNFK"])


class RankAnswer(_Answer):
    """Products, the best first; equal scores keep the request's order."""

    model_version: int = Field(examples=[3])
    results: list[RankedProduct]
    cache: CacheWriting


class StreamedScore(PairScore):
    """A line of a streamed answer; `line` counts from 1, blank lines too."""

    line: int = Field(ge=1)
    model_version: int = Field(examples=[3])


class StreamedError(_Answer):
    """A line that could not be scored; the others are."""

    line: int = Field(ge=0, description="0 where the stream ended early: `error` is `stream_ended` then")
    error: str = Field(examples=["invalid_field"])
    detail: str
    type: str


class VersionScores(_Answer):
    """Scores of one version; null where it does not know the pair's marketplace."""

    model_version: int
    scores: list[float | None]
    highly_relevant: list[bool]


class CompareAnswer(_Answer):
    """The same pairs as several versions score them."""

    versions: list[VersionScores]


class CachedProductAnswer(_Answer):
    """A highly relevant product."""

    id: str = Field(examples=["B000IYZNFK"])
    score: float = Field(examples=[0.9731])


class CacheLookupAnswer(_Answer):
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
    created_at: datetime | None = Field(description="when the generation was begun")


class LookupRequest(_Request):
    """Queries to look up in one marketplace."""

    queries: list[str] = Field(min_length=1, max_length=1000, examples=[["usb c cable", "sofa"]])
    min_score: float = Field(default=0.0, ge=0, le=1, description="leave out lower scores")
    limit: int | None = Field(default=None, ge=1, le=10_000, description="at most so many products of a query")


class LookupsAnswer(_Answer):
    """What the cache knows of each query, in their order, all from one generation."""

    answers: list[CacheLookupAnswer]


class GenerationAnswer(_Answer):
    """A generation of a marketplace; `active` is the one that is read."""

    generation: int = Field(examples=[7])
    model_version: int = Field(examples=[3])
    state: Literal["building", "complete", "open"]
    active: bool
    previous: int | None = Field(description="where a rollback leads", examples=[6])
    queries: int | None
    pairs: int | None
    created_at: datetime
    expires_from: datetime | None = Field(description="from when entries may have expired")


class GenerationsAnswer(_Answer):
    """The generations of a marketplace, the newest first."""

    generations: list[GenerationAnswer]


class PurgeAnswer(_Answer):
    """How many entries, or for a query generations, something was removed from."""

    removed_from: int = Field(ge=0, examples=[12])


class HealthAnswer(_Answer):
    """The process answers."""

    status: Literal["ok"] = "ok"


class ReadyAnswer(_Answer):
    """The service can score; `missing` names what it does without."""

    ready: bool = True
    model_version: int = Field(examples=[3])
    missing: list[str] = Field(examples=[[]])
    refused: str | None = Field(
        default=None, description="why a newer version is not served; the older one goes on", examples=[None]
    )


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
    roc_auc: list[dict[str, float]] = Field(
        description="R on validation rows: a row for each step, ROC-AUC by marketplace",
        examples=[[{"us": 0.81}, {"us": 0.81, "es": 0.79}]],
    )
    untrained_roc_auc: dict[str, float] = Field(description="of the untrained encoder's cosine")


class VersionAnswer(_Answer):
    """A stored version."""

    model_version: int = Field(examples=[3])
    created_at: datetime
    marketplaces: list[str] = Field(examples=[["us", "es"]])
    promoted: bool = Field(description="whether the promotion rule let it through when it was published")
    promotion_reason: str
    newest: bool = Field(description="what the store's pointer names")
    served: bool = Field(description="what scores now")


class VersionsAnswer(_Answer):
    """The stored versions, newest first; a damaged one is named in `damaged` instead."""

    versions: list[VersionAnswer]
    damaged: list[str] = Field(examples=[[]])


class ReloadAnswer(_Answer):
    """What is served after an attempt to load the store's newest version."""

    model_version: int = Field(examples=[3])
    previous_version: int = Field(examples=[2])
    refused: str | None = Field(description="why the newest version is not the one that is served")
