"""`GET /model`: the model version that scores."""

from __future__ import annotations

from fastapi import APIRouter

from model_store.versions.manifest import Manifest, MarketplaceEntry
from service.api.errors import answers
from service.api.schemas.models import MarketplaceAnswer, ModelAnswer, PlainProbesAnswer
from service.state import State

router = APIRouter(tags=["model"])


@router.get("/model", summary="Show the model that scores", responses=answers(503))
async def model(state: State) -> ModelAnswer:
    """Number, marketplaces with their thresholds, base encoder and pair encoding."""
    scorer = state.model.required_scorer()
    manifest = scorer.manifest
    return ModelAnswer(
        model_version=manifest.number,
        parent=manifest.parent,
        created_at=manifest.created_at,
        device=scorer.device,
        engine=scorer.choice.name,
        base_encoder=manifest.base_encoder.source,
        interaction=manifest.pair_encoding.interaction,
        product_fields=list(manifest.pair_encoding.product_fields),
        marketplaces=[_marketplace(entry, manifest) for entry in manifest.marketplaces],
        roc_auc=list(manifest.metric_matrix),
        untrained_roc_auc=manifest.zero_shot,
    )


def _marketplace(entry: MarketplaceEntry, manifest: Manifest) -> MarketplaceAnswer:
    report = entry.threshold
    return MarketplaceAnswer(
        name=entry.name,
        language=entry.language,
        threshold=report.threshold if report else None,
        target_precision=report.target_precision if report else None,
        precision=report.precision if report else None,
        recall=report.recall if report else None,
        validation_auc=entry.validation_auc,
        plain_probes=_plain_probes(entry.name, manifest),
    )


def _plain_probes(marketplace: str, manifest: Manifest) -> PlainProbesAnswer | None:
    found = manifest.plain_probes.get(marketplace)
    if found is None:
        return None
    change = manifest.promotion.plain_probes.get(marketplace)
    return PlainProbesAnswer(
        probes=found.probes,
        share=found.share,
        parent=change.previous if change is not None and change.against == "parent" else None,
        untrained=found.untrained,
    )
