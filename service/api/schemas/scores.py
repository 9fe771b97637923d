"""Bodies of requests that score and of their answers."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class RequestBody(BaseModel):
    """Strict: no field that is unknown, no value that would have to be converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class AnswerBody(BaseModel):
    """Fields may begin with `model_`."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())


class ProductBody(RequestBody):
    """A product; unknown fields are ignored, so that a catalogue's records can be sent as they are."""

    model_config = ConfigDict(extra="ignore")

    id: str = Field(examples=["B000IYZNFK"])
    title: str = Field(examples=["USB C Cable 2 m, braided"])
    brand: str | None = Field(default=None, examples=["Anker"])
    color: str | None = Field(default=None, examples=["black"])
    bullet_points: str | list[str | None] | None = Field(
        default=None,
        description="a list is joined with spaces, as in tables",
        examples=["60 W charging\nBraided nylon"],
    )
    description: str | None = Field(default=None, examples=["Charges and transfers data."])


class PairBody(RequestBody):
    """A query and a product in one marketplace."""

    marketplace: str = Field(examples=["us"])
    query: str = Field(examples=["usb c cable"])
    product: ProductBody


class ScoreRequest(RequestBody):
    """Pairs to score, of one or several marketplaces."""

    pairs: list[PairBody]
    write_cache: bool = Field(default=True, description="write highly relevant pairs to the offline cache")
    explain: bool = Field(default=False, description="tell which marketplaces' adapters the scores came from")
    raw_scores: bool = Field(default=False, description="also give the logits that the scores came from")


class RankRequest(RequestBody):
    """A query and the products to put in order."""

    marketplace: str = Field(examples=["us"])
    query: str = Field(examples=["usb c cable"])
    products: list[ProductBody]
    top_n: int | None = Field(
        default=None, ge=1, description="give at most so many; all without it", examples=[10]
    )
    only_highly_relevant: bool = Field(default=False, description="leave the others out")
    write_cache: bool = Field(default=True, description="write highly relevant pairs to the offline cache")
    raw_scores: bool = Field(default=False, description="also give the logits that the scores came from")


class Explanation(AnswerBody):
    """The weight that the fusion gave to each marketplace's adapter; weights sum to 1."""

    adapters: dict[str, float] = Field(
        description="mean over tokens and layers", examples=[{"us": 0.71, "es": 0.29}]
    )
    layers: list[dict[str, float]] = Field(
        description="mean over tokens, layer by layer from the lowest",
        examples=[[{"us": 0.64, "es": 0.36}, {"us": 0.78, "es": 0.22}]],
    )


class PairScore(AnswerBody):
    """The score of one pair: from 0 (not relevant) to 1."""

    score: float = Field(ge=0, le=1, examples=[0.9731])
    highly_relevant: bool = Field(description="the score reaches the marketplace's threshold")
    cached: bool = Field(description="the pair was written to the offline cache")
    truncated: list[Literal["query", "product"]] = Field(
        description="texts that were longer than the model reads", examples=[[]]
    )
    raw_score: float | None = Field(
        default=None, description="only where `raw_scores` was asked for", examples=[3.58]
    )
    explanation: Explanation | None = Field(default=None, description="only where `explain` was asked for")


class CacheWriting(AnswerBody):
    """What was written to the cache, and why something was not."""

    written: int = Field(description="pairs of this request that are in the cache now", examples=[1])
    note: str | None = Field(description="why something was not written", examples=[None])


class ScoreAnswer(AnswerBody):
    """Scores in the order of the pairs."""

    model_version: int = Field(examples=[3])
    results: list[PairScore]
    cache: CacheWriting


class RankedProduct(PairScore):
    """A product in its place: `index` is where it stood in the request."""

    index: int = Field(ge=0, examples=[0])
    id: str = Field(examples=["B000IYZNFK"])


class RankAnswer(AnswerBody):
    """Products, the best first; equal scores keep the request's order."""

    model_version: int = Field(examples=[3])
    results: list[RankedProduct]
    cache: CacheWriting


class StreamedScore(PairScore):
    """A line of a streamed answer; `line` counts from 1, blank lines too."""

    line: int = Field(ge=1)
    model_version: int = Field(examples=[3])


class StreamedError(AnswerBody):
    """A line that could not be scored; the others are."""

    line: int = Field(ge=0, description="number of the line; 0 if the stream ended early (`stream_ended`)")
    error: str = Field(examples=["invalid_field"])
    detail: str
    type: str
