"""Bodies of what the routes of models and health take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from service.api.schemas.scores import AnswerBody, PairBody, RequestBody


class CompareRequest(RequestBody):
    """Pairs to score with several stored versions; nothing is cached."""

    pairs: list[PairBody]
    versions: list[int] = Field(min_length=1, max_length=4, examples=[[2, 3]])


class VersionScores(AnswerBody):
    """Scores of one version; null where it does not know the pair's marketplace."""

    model_version: int = Field(examples=[3])
    scores: list[float | None] = Field(examples=[[0.9731]])
    highly_relevant: list[bool]


class CompareAnswer(AnswerBody):
    """The same pairs as several versions score them."""

    versions: list[VersionScores]


class HealthAnswer(AnswerBody):
    """The process answers."""

    status: Literal["ok"] = "ok"


class ReadyAnswer(AnswerBody):
    """The service can score; `missing` names what it does without."""

    ready: bool = True
    model_version: int = Field(examples=[3])
    missing: list[str] = Field(examples=[[]])
    refused: str | None = Field(
        default=None,
        description="why a newer version is not served",
        examples=[None],
    )


class PlainProbesAnswer(AnswerBody):
    """Shares of everyday queries, which nothing trains on, whose relevant product is ranked first."""

    probes: int = Field(description="queries in the marketplace's language", examples=[42])
    share: float = Field(description="of this version", examples=[0.976])
    parent: float | None = Field(description="of the version that it was trained on top of", examples=[0.952])
    untrained: float = Field(description="of the untrained encoder's cosine", examples=[0.976])


class MarketplaceAnswer(AnswerBody):
    """A marketplace that the model knows; without a threshold nothing of it is highly relevant or cached."""

    name: str = Field(examples=["us"])
    language: str = Field(examples=["en"])
    threshold: float | None = Field(examples=[0.87])
    target_precision: float | None = Field(examples=[0.95])
    precision: float | None = Field(description="on validation data, at the threshold", examples=[0.953])
    recall: float | None = Field(examples=[0.41])
    validation_auc: float | None = Field(examples=[0.82])
    plain_probes: PlainProbesAnswer | None = Field(
        description="null for a language without probes, and for a version of before there were any"
    )


class ModelAnswer(AnswerBody):
    """The model version that scores."""

    model_version: int = Field(examples=[3])
    parent: int | None = Field(examples=[2])
    created_at: datetime = Field(examples=["2026-11-23T10:25:02.087080Z"])
    device: str = Field(examples=["cpu"])
    engine: str = Field(description="backend and precision", examples=["onnxruntime-int8"])
    base_encoder: str = Field(examples=["packaged:4"])
    interaction: str = Field(examples=["two_tower"])
    product_fields: list[str] = Field(examples=[["title"]])
    marketplaces: list[MarketplaceAnswer]
    roc_auc: list[dict[str, float]] = Field(
        description="R on validation rows: a row for each step, ROC-AUC by marketplace",
        examples=[[{"us": 0.81}, {"us": 0.81, "es": 0.79}]],
    )
    untrained_roc_auc: dict[str, float] = Field(
        description="of the untrained encoder's cosine", examples=[{"us": 0.78, "es": 0.69}]
    )


class VersionAnswer(AnswerBody):
    """A stored version."""

    model_version: int = Field(examples=[3])
    created_at: datetime = Field(examples=["2026-11-23T10:25:02.087080Z"])
    marketplaces: list[str] = Field(examples=[["us", "es"]])
    promoted: bool = Field(description="whether the promotion rule let it through when it was published")
    promotion_reason: str = Field(examples=["no marketplace lost more than 0.02"])
    newest: bool = Field(description="what the store's pointer names")
    served: bool = Field(description="what scores now")


class VersionsAnswer(AnswerBody):
    """The stored versions, newest first; a damaged one is named in `damaged` instead."""

    versions: list[VersionAnswer]
    damaged: list[str] = Field(examples=[[]])


class ReloadAnswer(AnswerBody):
    """What is served after an attempt to load the store's newest version."""

    model_version: int = Field(examples=[3])
    previous_version: int = Field(examples=[2])
    refused: str | None = Field(
        description="why the newest version is not the one that is served", examples=[None]
    )


class ExamplePair(AnswerBody):
    """A pair that is stored with the version."""

    query: str = Field(examples=["usb c cable"])
    product_id: str = Field(examples=["B000IYZNFK"])
    product_title: str = Field(examples=["USB C Cable 2 m, braided"])


class ExamplesAnswer(AnswerBody):
    """Pairs to try; none where the version has none."""

    model_version: int = Field(examples=[3])
    examples: list[ExamplePair]
