"""`POST /score/stream`: pairs as JSON lines in, scores as JSON lines out, in memory that does not grow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

import orjson
from fastapi import APIRouter, Request
from pydantic import TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from model_store.errors import InputError, RelevanceError
from model_store.product import QueryProductPair
from service import background
from service.api.errors import answers, field_problem
from service.api.middleware.request_body import check_encoding
from service.api.pair_checks import checked_pair
from service.api.request_scope import request_id_of
from service.api.routes.score import pair_scores
from service.api.schemas.scores import PairBody, StreamedError, StreamedScore
from service.api.scoring import unwritten, verdicts, written
from service.engine.batching.micro_batching import ScoredPairs
from service.engine.scorer import Scorer
from service.state import ServiceState, State

router = APIRouter(tags=["score"])

LINES = "application/x-ndjson"
_SCORING = "scoring a stream"
_CHUNKS_AHEAD = 2
_PAIR = TypeAdapter(PairBody)
_PAIRS = {
    "schema": {"type": "string", "description": "one pair a line: marketplace, query, product"},
    "example": '{"marketplace": "us", "query": "usb c cable", '
    '"product": {"id": "B000IYZNFK", "title": "USB C Cable"}}\n',
}
_SCORES = {
    "schema": {"type": "string", "description": "one score or error a line"},
    "example": '{"score": 0.9731, "highly_relevant": true, "cached": true, "truncated": [], "line": 1, '
    '"model_version": 3}\n',
}
_REQUEST_BODY = {"requestBody": {"required": True, "content": {LINES: _PAIRS}}}


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    pair: QueryProductPair | None = None
    error: StreamedError | None = None


@router.post(
    "/score/stream",
    summary="Score a stream of pairs",
    response_class=StreamingResponse,
    responses={
        200: {"content": {LINES: _SCORES}, "description": "one score or error a line"},
        **answers(415, 422, 503),
    },
    openapi_extra=_REQUEST_BODY,
)
async def score_stream(request: Request, state: State, write_cache: bool = True) -> StreamingResponse:
    """Every line of the body is a pair as in `POST /score`; every line of the answer a score or an error.

    Answers come in the order of the lines, blank lines left out, while the body is still being sent: read while
    you send, since the service takes no more than it can give back. A wrong line is answered by an error of its
    own. There is no limit on the number of lines; the whole stream is scored by one model version.
    """
    kind = request.headers.get("content-type", LINES).partition(";")[0].strip().lower()
    if kind not in (LINES, "application/jsonl", "application/json"):
        raise HTTPException(415, f"the body is {kind[:100]!r}; send Content-Type: {LINES}")
    check_encoding(request)
    scorer = state.model.required_scorer()
    stream = _Stream(request, state, scorer, write_cache)
    return _LinesResponse(stream.answer())


class _LinesResponse(StreamingResponse):
    """Sends while the body is received; Starlette's own would read the body to see whether the client leaves."""

    def __init__(self, lines: AsyncGenerator[bytes, None]) -> None:
        super().__init__(lines, media_type=LINES)
        self._lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's
        async with aclosing(self._lines):
            await self.stream_response(send)


class _Stream:
    def __init__(self, request: Request, state: ServiceState, scorer: Scorer, write_cache: bool) -> None:
        self._request, self._state, self._scorer, self._write_cache = request, state, scorer, write_cache

    async def answer(self) -> AsyncGenerator[bytes, None]:
        """Lines of the answer; where the stream ends early, the last one says why."""
        try:
            async with aclosing(self._answers()) as answers:
                async for part in answers:
                    yield part
        except ClientDisconnect:
            return
        except (RelevanceError, HTTPException) as error:
            # The status is sent already.
            name = type(error).__name__
            yield _encoded(StreamedError(line=0, error="stream_ended", detail=str(error), type=name))
        except Exception as error:  # noqa: BLE001 - reported, and the client is told that this is not the end
            background.report(_SCORING, error, f"the stream of request {request_id_of(self._request.scope)}")
            detail = "the service failed on this stream; its log has the reason under this request id"
            name = type(error).__name__
            yield _encoded(StreamedError(line=0, error="internal_error", detail=detail, type=name))

    async def _answers(self) -> AsyncGenerator[bytes, None]:
        """The next chunks are read and tokenized while one is computed."""
        waiting: deque[tuple[list[_Line], asyncio.Task[ScoredPairs]]] = deque()
        failure: HTTPException | None = None
        try:
            async with aclosing(self._chunks()) as chunks:
                try:
                    async for chunk in chunks:
                        waiting.append((chunk, self._begun(chunk)))
                        if len(waiting) > _CHUNKS_AHEAD:
                            yield await self._answered(*waiting.popleft())
                except HTTPException as error:
                    failure = error
            while waiting:
                yield await self._answered(*waiting.popleft())
        finally:
            await background.discard([task for _, task in waiting])
        if failure is not None:
            raise failure

    def _begun(self, chunk: list[_Line]) -> asyncio.Task[ScoredPairs]:
        return asyncio.create_task(self._scored(chunk), name=_SCORING)

    async def _scored(self, chunk: list[_Line]) -> ScoredPairs:
        pairs = [line.pair for line in chunk if line.pair is not None]
        return await self._state.batching.score(self._scorer, pairs, patient=True)

    async def _answered(self, chunk: list[_Line], task: asyncio.Task[ScoredPairs]) -> bytes:
        scored = await task
        pairs = [line.pair for line in chunk if line.pair is not None]
        found = verdicts(self._state, self._scorer, pairs, scored)
        report = (
            await written(self._state, self._scorer, found.pairs) if self._write_cache else unwritten(len(pairs))
        )
        scores = iter(pair_scores(found, report, raw=False))
        version = self._scorer.model_version
        return b"".join(
            _encoded(
                line.error or StreamedScore(**next(scores).model_dump(), line=line.number, model_version=version)
            )
            for line in chunk
        )

    async def _chunks(self) -> AsyncGenerator[list[_Line], None]:
        chunk: list[_Line] = []
        failure: HTTPException | None = None
        number = 0
        try:
            async for content in self._lines():
                number += 1
                if content.strip():
                    chunk.append(self._checked(number, content))
                if len(chunk) == self._state.settings.stream_chunk_pairs:
                    yield chunk
                    chunk = []
        except HTTPException as error:
            failure = error
        if chunk:
            yield chunk
        if failure is not None:
            raise failure

    async def _lines(self) -> AsyncIterator[bytes]:
        limit = self._state.settings.max_body_bytes
        rest = bytearray()
        async for part in self._request.stream():
            # Only what is new is searched, as a line may come in many parts.
            end = part.rfind(b"\n")
            if end >= 0:
                rest += part[:end]
                for line in bytes(rest).split(b"\n"):
                    yield line
                rest.clear()
            rest += part[end + 1 :]
            if len(rest) > limit:
                raise HTTPException(413, f"a line has more than {limit} bytes (MAX_BODY_BYTES)")
        yield bytes(rest)

    def _checked(self, number: int, content: bytes) -> _Line:
        limit = self._state.settings.max_text_characters
        given: object = None
        try:
            given = orjson.loads(content)
            body = _PAIR.validate_python(given)
            return _Line(number, pair=checked_pair(body, "", self._scorer.marketplaces, limit))
        except orjson.JSONDecodeError as error:
            problem = ("malformed_request", f"the line is not JSON in UTF-8: {error}")
        except ValidationError as error:
            problem = ("invalid_field", field_problem(error.errors(include_url=False), given))
        except InputError as error:
            problem = ("invalid_field", str(error))
        code, detail = problem
        return _Line(number, error=StreamedError(line=number, error=code, detail=detail, type="InputError"))


def _encoded(line: StreamedScore | StreamedError) -> bytes:
    return orjson.dumps(line.model_dump(exclude_none=True)) + b"\n"
