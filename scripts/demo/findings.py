"""Everything that the demo finds out: the content of its `report.json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict

from scripts.demo.baseline import Baseline
from scripts.demo.published_versions import PublishedVersion

if TYPE_CHECKING:
    from model_store.versions.manifest import Manifest

Matrix = list[dict[str, float]]


class PlainProbeRow(TypedDict):
    """Shares of a language's everyday queries that a marketplace ranks right, from 0 to 1.

    By the untrained encoder, by the version that had just learnt the marketplace (None if that version knows no
    share), and by the newest one.
    """

    language: str
    probes: int
    untrained: float
    when_learnt: float | None
    now: float


class ScoredQuery(TypedDict):
    """One query-product pair as the service scored it."""

    marketplace: str
    query: str
    title: str
    label: int
    score: float
    highly_relevant: bool
    cached: bool


class CachedProduct(TypedDict):
    """A product that the cache answers with; the title is the candidate file's."""

    id: str
    score: float
    title: str


class CachedQuery(TypedDict):
    """What the cache answers for a query."""

    marketplace: str
    query: str
    status: str
    products: list[CachedProduct]


@dataclass(slots=True)
class Findings:
    """`baseline` is None where it was neither measured nor kept; `baseline_is_kept` tells which of the two.

    `seconds` are by step, `part_seconds` by kind of part, as in `expected_seconds.json`.
    """

    data: str
    sequence: list[str]
    continual: Matrix = field(default_factory=list)
    untrained_cosine: dict[str, float] = field(default_factory=dict)
    baseline: Baseline | None = None
    baseline_is_kept: bool = False
    trainable_parameters: list[dict[str, int]] = field(default_factory=list)
    marketplaces: list[dict[str, object]] = field(default_factory=list)
    plain_probes: dict[str, PlainProbeRow] = field(default_factory=dict)
    publications: list[PublishedVersion] = field(default_factory=list)
    served_version: int = 0
    served_marketplaces: list[str] = field(default_factory=list)
    scored: list[ScoredQuery] = field(default_factory=list)
    fills: list[dict[str, object]] = field(default_factory=list)
    cached: list[CachedQuery] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    part_seconds: dict[str, float] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)


def plain_probe_row(marketplace: str, manifests: Sequence[Manifest]) -> PlainProbeRow:
    """What the versions of a run, the newest last, say of a marketplace's plain probes."""
    newest = manifests[-1].plain_probes[marketplace]
    first = next(manifest for manifest in manifests if marketplace in manifest.names)
    learnt = first.plain_probes.get(marketplace)
    return PlainProbeRow(
        language=newest.language,
        probes=newest.probes,
        untrained=newest.untrained,
        when_learnt=learnt.share if learnt else None,
        now=newest.share,
    )
