"""`GET /examples/{marketplace}`: pairs to try the model on."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from service.api.errors import answers
from service.api.pair_checks import checked_known_marketplace
from service.api.schemas.models import ExamplePair, ExamplesAnswer
from service.state import State

router = APIRouter(tags=["model"])


@router.get("/examples/{marketplace}", summary="Example pairs of a version", responses=answers(422, 503))
async def examples(state: State, marketplace: Annotated[str, Path(examples=["us"])]) -> ExamplesAnswer:
    """Pairs of the marketplace's validation rows that are stored with the version."""
    scorer = state.model.required_scorer()
    name = checked_known_marketplace(marketplace, scorer.marketplaces)
    return ExamplesAnswer(
        model_version=scorer.model_version,
        examples=[
            ExamplePair(query=pair.query, product_id=pair.product_id, product_title=pair.product_title)
            for pair in scorer.manifest.probe_pairs
            if pair.marketplace == name
        ],
    )
