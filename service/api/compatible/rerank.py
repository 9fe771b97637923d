"""`/rerank`, `/v1/rerank`, `/v2/rerank`: Cohere's, Jina's and text-embeddings-inference's shapes."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from model_store.errors import InputError
from service.api.compatible.scoring import NamedText, TextScores, text_scores
from service.api.errors import answers
from service.api.middleware.request_body import JsonBodyRoute
from service.state import State

router = APIRouter(route_class=JsonBodyRoute, tags=["compatible"])

_RESPONSES = answers(400, 408, 413, 415, 422, 429, 503)


class TextObject(BaseModel):
    """A document as an object; other fields than `text` are read where `rank_fields` names them."""

    model_config = ConfigDict(extra="allow", strict=True)

    text: str | None = None


Document = Annotated[str | TextObject, Field(examples=["USB C Cable 2 m, braided"])]


class RerankRequest(BaseModel):
    """`documents` (Cohere, Jina) or `texts` (text-embeddings-inference); unknown fields are ignored."""

    model_config = ConfigDict(
        strict=True,
        json_schema_extra={
            "example": {
                "model": "relevance:us",
                "query": "usb c cable",
                "documents": ["USB C Cable 2 m", "Phone case"],
                "top_n": 1,
            }
        },
    )

    model: str | None = None
    query: str
    documents: list[Document] | None = None
    texts: list[str] | None = None
    top_n: int | None = Field(default=None, ge=1)
    rank_fields: list[str] | None = None
    return_documents: bool | None = None
    return_text: bool = False
    raw_scores: bool = False


class RerankedDocument(BaseModel):
    """The document as it was sent."""

    text: str = Field(examples=["USB C Cable 2 m"])


class RerankResult(BaseModel):
    """`index` is where the document stood in the request."""

    index: int = Field(examples=[0])
    relevance_score: float = Field(examples=[0.9731])
    document: RerankedDocument | None = None


class RerankAnswer(BaseModel):
    """What Cohere's and Jina's clients read, the best document first."""

    id: str = Field(examples=["0b2d7a5e-6c1e-4f6e-9d52-0c3a3a1c7f11"])
    model: str = Field(examples=["relevance:us"])
    results: list[RerankResult]
    usage: dict[str, int] = Field(examples=[{"total_tokens": 24, "prompt_tokens": 24}])
    meta: dict[str, dict[str, str | int]] = Field(
        examples=[{"api_version": {"version": "2"}, "billed_units": {"search_units": 0}}]
    )


class TextResult(BaseModel):
    """What clients of text-embeddings-inference read."""

    index: int = Field(examples=[0])
    score: float = Field(examples=[0.9731])
    text: str | None = None


async def _rerank(
    body: RerankRequest, request: Request, state: State, version: str
) -> RerankAnswer | list[TextResult]:
    field, documents = _documents(body)
    query = NamedText(body.query, "query")
    pairs = [(query, NamedText(text, f"{field}[{place}]")) for place, text in enumerate(documents)]
    found = await text_scores(request, state, body.model, pairs, field=field, raw=body.raw_scores)
    places = sorted(range(len(documents)), key=lambda place: -found.scores[place])
    if body.texts is not None:
        return [_text_result(place, found, documents[place] if body.return_text else None) for place in places]
    with_documents = bool(body.return_documents)
    return RerankAnswer(
        id=str(uuid.uuid4()),
        model=found.model,
        results=[
            _result(place, found, documents[place] if with_documents else None) for place in places[: body.top_n]
        ],
        usage={"total_tokens": found.tokens, "prompt_tokens": found.tokens},
        meta={"api_version": {"version": version}, "billed_units": {"search_units": 0}},
    )


@router.post(
    "/rerank", summary="Rerank as Cohere, Jina or TEI do", response_model_exclude_none=True, responses=_RESPONSES
)
async def rerank(body: RerankRequest, request: Request, state: State) -> RerankAnswer | list[TextResult]:
    """With `documents` the answer is an object, with `texts` a bare array."""
    return await _rerank(body, request, state, "2")


@router.post(
    "/v1/rerank",
    summary="Rerank as Cohere v1 and Jina do",
    response_model_exclude_none=True,
    responses=_RESPONSES,
)
async def rerank_v1(body: RerankRequest, request: Request, state: State) -> RerankAnswer | list[TextResult]:
    """As `/rerank`."""
    return await _rerank(body, request, state, "1")


@router.post(
    "/v2/rerank", summary="Rerank as Cohere v2 does", response_model_exclude_none=True, responses=_RESPONSES
)
async def rerank_v2(body: RerankRequest, request: Request, state: State) -> RerankAnswer | list[TextResult]:
    """As `/rerank`."""
    return await _rerank(body, request, state, "2")


def _documents(body: RerankRequest) -> tuple[str, list[str]]:
    if body.texts is not None and body.documents is None:
        return "texts", body.texts
    if body.documents is None or body.texts is not None:
        raise InputError("send either documents or texts", field="documents")
    return "documents", [
        _text_of(document, body.rank_fields, place) for place, document in enumerate(body.documents)
    ]


def _text_of(document: str | TextObject, fields: list[str] | None, place: int) -> str:
    if isinstance(document, str):
        return document
    values = document.model_dump(exclude_none=True)
    texts = [values[name] for name in fields or ["text"] if isinstance(values.get(name), str)]
    if not texts:
        wanted = ", ".join(fields or ["text"])
        raise InputError(f"the document has no text in {wanted}", field=f"documents[{place}]")
    return " ".join(texts)


def _result(place: int, found: TextScores, text: str | None) -> RerankResult:
    document = None if text is None else RerankedDocument(text=text)
    return RerankResult(index=place, relevance_score=found.scores[place], document=document)


def _text_result(place: int, found: TextScores, text: str | None) -> TextResult:
    return TextResult(index=place, score=found.scores[place], text=text)
