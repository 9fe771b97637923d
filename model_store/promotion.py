"""The promotion rule: what becomes the newest served version."""

from __future__ import annotations

from model_store.manifest import AucChange, Manifest, ManifestDraft, PromotionDecision

DEFAULT_TOLERANCE = 0.01


def decide_promotion(
    draft: ManifestDraft,
    parent: Manifest | None,
    latest: Manifest | None,
    tolerance: float = DEFAULT_TOLERANCE,
) -> PromotionDecision:
    """Whether a new version may be served in place of the latest.

    Kept but not promoted is a version in which a marketplace of its parent loses more than the tolerance of
    validation ROC-AUC, and one that lacks a marketplace the latest version serves.
    """
    changes = _changes(draft, parent)
    lost = {name: change for name, change in changes.items() if change.change < -tolerance}
    names = {entry.name for entry in draft.marketplaces}
    dropped = [name for name in (latest.names if latest else []) if name not in names]
    if dropped:
        assert latest is not None
        reason = f"kept, not promoted: version {latest.number} serves {', '.join(dropped)}, which this one lacks"
    elif lost:
        reason = f"kept, not promoted: {_told(lost)}; the tolerance is {tolerance}"
    elif changes:
        reason = f"promoted: no older marketplace loses more than {tolerance} ({_told(changes)})"
    else:
        reason = "promoted: it has no older marketplace to lose"
    return PromotionDecision(promoted=not (dropped or lost), reason=reason, tolerance=tolerance, changes=changes)


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


def _told(changes: dict[str, AucChange]) -> str:
    return ", ".join(
        f"{name} {change.previous:.4f} -> {change.now:.4f} ({change.change:+.4f})"
        for name, change in changes.items()
    )
