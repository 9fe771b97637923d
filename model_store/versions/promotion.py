"""The promotion rule: what becomes the newest served version."""

from __future__ import annotations

from collections.abc import Iterator

from model_store.versions.manifest import AucChange, Manifest, ManifestDraft, PlainProbeChange, PromotionDecision

DEFAULT_TOLERANCE = 0.01
PLAIN_PROBE_TOLERANCE = 0.05
"""A larger fall of a marketplace's share of plain probes is warned of."""
_ROUNDING = 1e-9  # a fall of 2 of 40 is 0.05, whatever floats make of the difference


def decide_promotion(
    draft: ManifestDraft,
    parent: Manifest | None,
    latest: Manifest | None,
    tolerance: float = DEFAULT_TOLERANCE,
) -> PromotionDecision:
    """Whether a new version may be served in place of the latest.

    Kept but not promoted is a version in which a marketplace of its parent loses more than the tolerance of
    validation ROC-AUC, and one that lacks a marketplace the latest version serves. A marketplace that ranks fewer
    plain probes right than before, by more than `PLAIN_PROBE_TOLERANCE`, is warned of and keeps nothing back.
    """
    changes = _changes(draft, parent)
    lost = {name: change for name, change in changes.items() if change.change < -tolerance}
    names = {entry.name for entry in draft.marketplaces}
    dropped = [name for name in (latest.names if latest else []) if name not in names]
    if dropped:
        assert latest is not None
        reason = f"kept, not promoted: version {latest.number} serves {', '.join(dropped)}, which this one lacks"
    elif lost:
        reason = f"kept, not promoted: {_listed_changes(lost)}; the tolerance is {tolerance}"
    elif changes:
        reason = f"promoted: no older marketplace loses more than {tolerance} ({_listed_changes(changes)})"
    else:
        reason = "promoted: it has no older marketplace to lose"
    probes = _probe_changes(draft, parent)
    return PromotionDecision(
        promoted=not (dropped or lost),
        reason=reason,
        tolerance=tolerance,
        changes=changes,
        plain_probes=probes,
        warnings=tuple(_probe_warnings(probes)),
    )


def _changes(draft: ManifestDraft, parent: Manifest | None) -> dict[str, AucChange]:
    if parent is None:
        return {}
    now = {entry.name: entry.validation_auc for entry in draft.marketplaces}
    changes = {}
    for entry in parent.marketplaces:
        after = now.get(entry.name)
        if entry.validation_auc is not None and after is not None:
            changes[entry.name] = AucChange(
                previous=entry.validation_auc, now=after, change=after - entry.validation_auc
            )
    return changes


def _probe_changes(draft: ManifestDraft, parent: Manifest | None) -> dict[str, PlainProbeChange]:
    changes = {}
    for name, found in draft.plain_probes.items():
        before = parent.plain_probes.get(name) if parent else None
        comparable = before is not None and before.digest == found.digest
        previous = before.share if before is not None and comparable else found.untrained
        changes[name] = PlainProbeChange(
            against="parent" if comparable else "untrained",
            previous=previous,
            now=found.share,
            change=found.share - previous,
        )
    return changes


def _probe_warnings(changes: dict[str, PlainProbeChange]) -> Iterator[str]:
    for name, change in changes.items():
        if change.change < -(PLAIN_PROBE_TOLERANCE + _ROUNDING):
            before = "its parent" if change.against == "parent" else "the untrained encoder"
            yield (
                f"{name} ranks {change.now:.4f} of the plain probes right, {before} {change.previous:.4f} "
                f"({change.change:+.4f})"
            )


def _listed_changes(changes: dict[str, AucChange]) -> str:
    return ", ".join(
        f"{name} {change.previous:.4f} -> {change.now:.4f} ({change.change:+.4f})"
        for name, change in changes.items()
    )
