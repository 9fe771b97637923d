"""Reads JSON bodies: never more bytes than allowed, UTF-8, and strictly JSON (no NaN)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from service.state import state_of


class JsonBodyRequest(Request):
    """A request whose body is counted while it arrives, and refused as soon as it is too large."""

    async def body(self) -> bytes:
        """The whole body.

        Raises:
            HTTPException: 413, more bytes than `max_body_bytes`; 415, no JSON, or compressed.
        """
        if not hasattr(self, "_body"):
            _check_content_type(self)
            check_encoding(self)
            limit = _limit_of(self)
            _check_announced_length(self, limit)
            seconds = state_of(self.app).settings.body_seconds
            try:
                async with asyncio.timeout(seconds):
                    self._body = await self._received(limit)
            except TimeoutError as error:
                detail = f"the body did not arrive within {seconds:g} seconds (BODY_SECONDS)"
                raise HTTPException(408, detail, {"Connection": "close"}) from error
        return self._body

    async def _received(self, limit: int) -> bytes:
        received = bytearray()
        async for part in self.stream():
            received += part
            if len(received) > limit:
                raise _too_large(limit)
        return bytes(received)

    async def json(self) -> object:
        """The parsed body.

        Raises:
            HTTPException: 400, it is not JSON.
        """
        body = await self.body()
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            # json takes what orjson does not (a lone surrogate, a deep list): the field can then be named.
            return _leniently(body)


def _leniently(body: bytes) -> object:
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except RecursionError as error:
        raise HTTPException(400, "the body is nested too deeply; send the documented shape") from error
    except ValueError as error:
        raise HTTPException(400, f"the body is not valid JSON in UTF-8: {error}") from error


class JsonBodyRoute(APIRoute):
    """A route that reads its body by `JsonBodyRequest`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler with the request replaced."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await handler(JsonBodyRequest(request.scope, request.receive))

        return handle


def _check_content_type(request: Request) -> None:
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise HTTPException(415, f"the body is {kind[:100]!r}; send Content-Type: application/json")


def check_encoding(request: Request) -> None:
    """Whether the body is sent as it is.

    Raises:
        HTTPException: 415, it is compressed.
    """
    coding = request.headers.get("content-encoding", "").strip().lower()
    if coding not in ("", "identity"):
        # What is unpacked may be a thousand times as large as what came.
        detail = f"the body is encoded as {coding[:100]!r}; send it without Content-Encoding"
        raise HTTPException(415, detail, {"Accept-Encoding": "identity"})


def _limit_of(request: Request) -> int:
    app: FastAPI = request.app
    return state_of(app).settings.max_body_bytes


def _check_announced_length(request: Request, limit: int) -> None:
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> HTTPException:
    return HTTPException(413, f"the body has more than {limit} bytes (MAX_BODY_BYTES); send fewer pairs at once")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
