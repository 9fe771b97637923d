"""What stands in a request's first line: a prefix under which a proxy serves, HEAD, and the query string.

A proxy names the prefix by `X-Forwarded-Prefix`, or ROOT_PATH does. It may take it off the path or leave it on.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.errors import error_answer

PREFIX_HEADER = "X-Forwarded-Prefix"
PREFIX_PATTERN = r"(/[A-Za-z0-9._~-]+)+"
_PREFIX = re.compile(PREFIX_PATTERN)
_MAX_PREFIX_CHARACTERS = 200
_PREFIX_KEY = "relevance.prefix"


class PrefixMiddleware:
    """The outermost: whatever comes after it sees the path without the prefix."""

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app, self._root_path = app, root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            prefix = self._prefix(scope)
            path: str = scope["path"]
            if prefix and (path == prefix or path.startswith(f"{prefix}/")):
                scope["path"] = path[len(prefix) :] or "/"
            scope[_PREFIX_KEY] = prefix
        await self._app(scope, receive, send)

    def _prefix(self, scope: Scope) -> str:
        given = Headers(scope=scope).get(PREFIX_HEADER, "").rstrip("/")
        # It comes back in the links of answers: only what is harmless there.
        is_prefix = len(given) <= _MAX_PREFIX_CHARACTERS and _PREFIX.fullmatch(given)
        return given if is_prefix else self._root_path


class RequestLineMiddleware:
    """The innermost: the routes see the prefix as ASGI says, GET for HEAD, and a query string that is UTF-8."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        field = _broken_field(scope)
        if field is not None:
            detail = f"field {field!r}: it is not UTF-8; percent-encode the UTF-8 bytes, as caf%C3%A9"
            answer = error_answer(Request(scope), 422, "invalid_field", detail, "InputError")
            await answer(scope, receive, send)
            return
        prefix: str = scope.get(_PREFIX_KEY, "")
        if prefix:
            scope["root_path"] = prefix
            scope["path"] = prefix + scope["path"]
        if scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        scope["method"] = "GET"

        async def send_head(message: Message) -> None:
            # Whoever sends, and whoever logs, is to know it as what it was.
            scope["method"] = "HEAD"
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app(scope, receive, send_head)


def prefix_of(scope: Scope) -> str:
    """What stands before every path of ours in a link that a client follows."""
    return str(scope.get("root_path", ""))


def _broken_field(scope: Scope) -> str | None:
    """The name of the first parameter that is not UTF-8, `path` for the path; None if all is."""
    query: bytes = scope.get("query_string", b"")
    if not query.isascii() or b"%" in query:
        for part in query.split(b"&"):
            if not _is_text(part):
                return part.partition(b"=")[0].decode("ascii", "replace")
    return None if _is_text(scope.get("raw_path") or b"") else "path"


def _is_text(quoted: bytes) -> bool:
    try:
        unquote_to_bytes(quoted).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
