"""HTTP whose heads (request line, headers, trailers) are bounded in size and time, whatever a client sends.

uvicorn on httptools bounds neither (tests/service/server/test_head_limits.py and, for the size,
tests/service/api/test_hostile_input.py), and answers HTTP/1.0 in chunks, which it does not know.
"""

from __future__ import annotations

import asyncio

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

MAX_HEAD_BYTES = 64 * 1024
"""Of a request's line and headers together; as uvicorn's slower parser bounds them."""

HEAD_SECONDS = 30.0
"""For a request's line and headers to arrive, once the client has connected or begun to send them."""

_REFUSAL = b"the request line and headers are larger than %d bytes" % MAX_HEAD_BYTES


class _HeadTooLargeError(Exception):
    """Ends the parsing of a request."""


class _CloseDelimitedCycle(RequestResponseCycle):
    """An answer for HTTP/1.0, which knows no chunks: one without a length ends with the connection."""

    _has_length = True

    async def send(self, message: ASGISendEvent) -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.start":
            self._has_length = any(name.lower() == b"content-length" for name, _ in message.get("headers", ()))
            if not self._has_length:
                self.chunked_encoding = False
        elif message["type"] == "http.response.body" and not self._has_length:
            self.expected_content_length = len(message.get("body", b""))
        await super().send(message)


class BoundedHeadProtocol(HttpToolsProtocol):
    """As uvicorn's, which keeps heads of any size in memory and waits for them for ever.

    A larger one is answered 431 and cut off; one that does not arrive ends the connection.
    """

    head_seconds = HEAD_SECONDS
    _timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    """Of the head as far as the parser has told it."""
    _unreported_bytes = 0
    """Come since the parser last told anything: it keeps what is not whole yet."""
    _too_large = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        """A client has connected."""
        super().connection_made(transport)
        self._wait_for_the_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, and refuse what grows without an end."""
        self._unreported_bytes += len(data)
        super().data_received(data)
        if not self._too_large and self._head_bytes + self._unreported_bytes > MAX_HEAD_BYTES:
            self._too_large = True
            self._refuse()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._head_bytes = 0
        self._unreported_bytes = 0
        self._wait_for_the_head()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of the request line.

        Raises:
            _HeadTooLargeError: the head is too large; the parser hands it on.
        """
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer.

        Raises:
            _HeadTooLargeError: the head is too large; the parser hands it on.
        """
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The body begins."""
        self._unreported_bytes = 0
        self._stop_waiting()
        super().on_headers_complete()
        if self.scope["http_version"] == "1.0" and self.cycle is not None:
            # uvicorn makes it, of its own class, and nobody has sent anything by it yet.
            self.cycle.__class__ = _CloseDelimitedCycle

    def on_body(self, body: bytes) -> None:
        """A part of the body; its size has a limit elsewhere."""
        self._unreported_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is here whole."""
        self._head_bytes = 0
        self._unreported_bytes = 0
        super().on_message_complete()

    def _wait_for_the_head(self) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(self.head_seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or what was cut off for its size."""
        if self._too_large:
            self._refuse()
        else:
            super().send_400_response(msg)

    def _count(self, size: int) -> None:
        self._head_bytes += size
        self._unreported_bytes = 0
        if self._head_bytes > MAX_HEAD_BYTES:
            self._too_large = True
            raise _HeadTooLargeError

    def _refuse(self) -> None:
        # An answer to an earlier request of the connection may be under way; its bytes are not mixed with these.
        under_way = self.cycle is not None and not self.cycle.response_complete
        if not under_way:
            self.transport.write(
                b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
                b"content-type: text/plain; charset=utf-8\r\n"
                b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(_REFUSAL), _REFUSAL)
            )
        self.transport.close()
