"""A version's manifest: what its weights do not tell, and the evaluation rows that it names."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from model_store.encoding.configuration import PairEncoding
from model_store.errors import InputError, VersionCorruptError
from model_store.metrics import Threshold
from model_store.network.configuration import AdapterConfiguration, FusionConfiguration, HeadConfiguration
from model_store.product import Product, QueryProductPair

SCHEMA_VERSION: Literal[1] = 1


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BaseEncoderReference(_Frozen):
    """The encoder under the adapters; its files are not copied into the version."""

    source: str
    digest: str
    model_type: str
    hidden_size: int
    layers: int


class MarketplaceEntry(_Frozen):
    """A marketplace that the version knows."""

    name: str
    language: str
    step: int
    adapter_folder: str
    bottleneck: int
    head: str
    threshold: Threshold | None
    validation_auc: float | None
    trainable_parameters: dict[str, int]


class EvaluationSet(_Frozen):
    """Validation or test rows kept with the run: a path inside the store, and its content's digest."""

    path: str
    rows: int
    sha256: str


class ProbePair(_Frozen):
    """A pair with the score that this version gives it, to check a loaded copy against."""

    marketplace: str
    query: str
    product_id: str
    product_title: str
    product_brand: str = ""
    product_color: str = ""
    product_bullet_points: str = ""
    product_description: str = ""
    score: float

    @property
    def pair(self) -> QueryProductPair:
        """The pair alone, as a scorer takes it."""
        return QueryProductPair(self.marketplace, self.query, Product.of_row(self))


class FileDigest(_Frozen):
    """Size and content of one file of the version."""

    sha256: str
    bytes: int


class AucChange(_Frozen):
    """Validation ROC-AUC of a marketplace before and after."""

    previous: float
    now: float
    change: float


class PlainProbeResult(_Frozen):
    """What a marketplace ranks right of its language's plain probes, as shares from 0 to 1.

    `share` is this version's, `untrained` that of the encoder's cosine without any adapter. `digest` is the
    sha256 of the probes: shares of two versions compare where it is the same.
    """

    language: str
    probes: int = Field(ge=1)
    digest: str
    share: float = Field(ge=0, le=1)
    untrained: float = Field(ge=0, le=1)


class PlainProbeChange(_Frozen):
    """A marketplace's share of plain probes ranked right before and after the publication.

    Before is the parent's share; where that knows no comparable one, the untrained encoder's.
    """

    against: Literal["parent", "untrained"]
    previous: float
    now: float
    change: float


class PromotionDecision(_Frozen):
    """Whether the version became the newest one that is served, and why.

    `warnings` tell of what does not keep it from being served, and should be looked at.
    """

    promoted: bool
    reason: str
    tolerance: float
    changes: dict[str, AucChange] = Field(default_factory=dict)
    plain_probes: dict[str, PlainProbeChange] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def reason_and_warnings(self) -> str:
        """All of it in one line."""
        return "; ".join((self.reason, *(f"warning: {warning}" for warning in self.warnings)))


class ManifestDraft(_Frozen):
    """What a publisher knows before the store has given a number and digests.

    `metric_matrix` and `test_matrix` are R so far, one row per step: ROC-AUC by marketplace on validation and
    test rows. `score_histograms` count validation scores in 20 equal bins of [0, 1]. `method` is the one that
    trained it; older versions do not say. `plain_probes` are by marketplace, for languages that have some;
    older versions have none.
    """

    method: str | None = None
    parent: int | None
    marketplaces: tuple[MarketplaceEntry, ...] = Field(min_length=1)
    base_encoder: BaseEncoderReference
    pair_encoding: PairEncoding
    adapter: AdapterConfiguration
    fusion: FusionConfiguration | None
    fusion_name: str | None
    head: HeadConfiguration
    metric_matrix: tuple[dict[str, float], ...]
    test_matrix: tuple[dict[str, float], ...]
    zero_shot: dict[str, float]
    zero_shot_test: dict[str, float] = Field(default_factory=dict)
    run: str
    evaluation: dict[str, dict[str, EvaluationSet]]
    training_configuration: dict[str, JsonValue]
    library_versions: dict[str, str]
    score_histograms: dict[str, list[int]]
    plain_probes: dict[str, PlainProbeResult] = Field(default_factory=dict)
    probe_pairs: tuple[ProbePair, ...]


class Manifest(ManifestDraft):
    """A published version's manifest."""

    schema_version: Literal[1] = SCHEMA_VERSION
    number: int = Field(ge=1)
    created_at: datetime
    promotion: PromotionDecision
    files: dict[str, FileDigest]

    @classmethod
    def of(
        cls, draft: ManifestDraft, number: int, promotion: PromotionDecision, files: dict[str, FileDigest]
    ) -> Manifest:
        """The draft with what the store adds."""
        content = {name: getattr(draft, name) for name in type(draft).model_fields}
        return cls(
            **content, number=number, created_at=datetime.now(UTC), promotion=promotion, files=files
        )  # fmt: skip

    @property
    def names(self) -> list[str]:
        """Marketplaces in the order of learning."""
        return [entry.name for entry in self.marketplaces]

    def marketplace(self, name: str) -> MarketplaceEntry:
        """The entry of one marketplace.

        Raises:
            InputError: the version does not know it; lists those it does.
        """
        for entry in self.marketplaces:
            if entry.name == name:
                return entry
        raise InputError(
            f"version {self.number} does not know {name!r}; it knows {', '.join(self.names)}",
            field="marketplace",
        )

    def threshold(self, name: str) -> float | None:
        """Score from which a pair of the marketplace is highly relevant; None where nothing is."""
        report = self.marketplace(name).threshold
        return None if report is None else report.threshold


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """Pairs and their labels: 1 relevant, 0 not."""

    pairs: list[QueryProductPair]
    labels: np.ndarray  # (pairs) int64


def read_evaluation_rows(store_root: Path, rows: EvaluationSet) -> LabelledRows:
    """The rows of one evaluation set.

    Raises:
        VersionCorruptError: the file is missing, outside the store, or not the one that was published.
    """
    path = (store_root / rows.path).resolve()
    if not path.is_relative_to(store_root.resolve()):
        raise VersionCorruptError(f"{rows.path}: lies outside the store")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise VersionCorruptError(f"{path}: {error.strerror or error}") from error
    if hashlib.sha256(content).hexdigest() != rows.sha256:
        raise VersionCorruptError(f"{path}: its content is not what was published")
    # Not splitlines: a text may hold other line separators.
    items = [json.loads(line) for line in content.decode("utf-8").split("\n") if line]
    pairs = [QueryProductPair(item["marketplace"], item["query"], Product.of_flat(item)) for item in items]
    return LabelledRows(pairs, np.array([item["label"] for item in items], dtype=np.int64))
