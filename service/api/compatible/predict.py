"""`/predict` of text-embeddings-inference and `/v1/score` of vLLM."""

from __future__ import annotations

import time
import uuid
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from model_store.errors import InputError
from service.api.compatible.scoring import NamedText, text_scores
from service.api.errors import answers
from service.api.middleware.request_body import JsonBodyRoute
from service.state import State

router = APIRouter(route_class=JsonBodyRoute, tags=["compatible"])

LABEL = "relevant"
_RESPONSES = answers(400, 408, 413, 415, 422, 429, 503)


class PredictRequest(BaseModel):
    """`["query", "text"]` is one pair, `[["query", "text"], ...]` are several; unknown fields are ignored."""

    model_config = ConfigDict(strict=True)

    inputs: str | list[str] | list[list[str]] = Field(examples=[[["usb c cable", "USB C Cable 2 m"]]])
    model: str | None = Field(default=None, examples=["relevance:us"])
    raw_scores: bool = False


class Prediction(BaseModel):
    """The score of the one label."""

    score: float = Field(examples=[0.9731])
    label: str = LABEL


class VllmScoreRequest(BaseModel):
    """One text against one or many, or two lists of the same length; unknown fields are ignored."""

    model_config = ConfigDict(strict=True)

    model: str | None = Field(default=None, examples=["relevance:us"])
    text_1: str | list[str] = Field(examples=["usb c cable"])
    text_2: str | list[str] = Field(examples=[["USB C Cable 2 m", "Phone case"]])


class VllmScore(BaseModel):
    """The score of the pair at `index`."""

    index: int = Field(examples=[0])
    object: Literal["score"] = "score"
    score: float = Field(examples=[0.9731])


class VllmScoreAnswer(BaseModel):
    """What vLLM's clients read."""

    id: str = Field(examples=["score-0b2d7a5e6c1e4f6e9d520c3a3a1c7f11"])
    object: Literal["list"] = "list"
    created: int = Field(examples=[1_795_516_800])
    model: str = Field(examples=["relevance:us"])
    data: list[VllmScore]
    usage: dict[str, int] = Field(examples=[{"prompt_tokens": 24, "total_tokens": 24}])


@router.post("/predict", summary="Score pairs as TEI does", responses=_RESPONSES)
async def predict(
    body: PredictRequest, request: Request, state: State
) -> list[Prediction] | list[list[Prediction]]:
    """One pair gives an array of one prediction, several give an array of such arrays."""
    pairs, is_one = _pairs(body.inputs)
    found = await text_scores(request, state, body.model, pairs, field="inputs", raw=body.raw_scores)
    predictions = [[Prediction(score=score)] for score in found.scores]
    return predictions[0] if is_one else predictions


@router.post("/v1/score", summary="Score texts as vLLM does", responses=_RESPONSES)
async def vllm_score(body: VllmScoreRequest, request: Request, state: State) -> VllmScoreAnswer:
    """`text_1` are queries, `text_2` products; a single text meets every text of the other side."""
    pairs = _crossed(body)
    found = await text_scores(
        request, state, body.model, pairs, field="text_2" if body.text_1 else "text_1", raw=False
    )
    return VllmScoreAnswer(
        id=f"score-{uuid.uuid4().hex}",
        created=int(time.time()),
        model=found.model,
        data=[VllmScore(index=place, score=score) for place, score in enumerate(found.scores)],
        usage={"prompt_tokens": found.tokens, "total_tokens": found.tokens},
    )


def _pairs(inputs: str | list[str] | list[list[str]]) -> tuple[list[tuple[NamedText, NamedText]], bool]:
    if isinstance(inputs, str):
        raise InputError("a single text has nothing to be relevant to; send [query, text]", field="inputs")
    if all(isinstance(item, str) for item in inputs):
        return [_pair([str(item) for item in inputs], "inputs")], True
    return [_pair(list(item), f"inputs[{place}]") for place, item in enumerate(inputs)], False


def _pair(texts: list[str], field: str) -> tuple[NamedText, NamedText]:
    if len(texts) != 2:
        raise InputError(f"a pair is [query, text]; this has {len(texts)} texts", field=field)
    return NamedText(texts[0], f"{field}[0]"), NamedText(texts[1], f"{field}[1]")


def _crossed(body: VllmScoreRequest) -> list[tuple[NamedText, NamedText]]:
    first, second = _named(body.text_1, "text_1"), _named(body.text_2, "text_2")
    if len(first) == 1:
        first = first * len(second)
    if len(second) == 1:
        second = second * len(first)
    if len(first) != len(second):
        raise InputError(f"{len(first)} texts against {len(second)}: send one, or as many", field="text_1")
    return list(zip(first, second, strict=True))


def _named(texts: str | list[str], field: str) -> list[NamedText]:
    if isinstance(texts, str):
        return [NamedText(texts, field)]
    return [NamedText(text, f"{field}[{place}]") for place, text in enumerate(texts)]
