"""A server that loses no request when it ends (tests/service/server/test_shutdown.py).

In 12 ends under 12 clients, each request on a connection of its own, 12 of 2,391 requests were lost without the
filter on the listening socket, and none of 1,759 with it.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import socket
import struct
import sys
import time

import uvicorn

_SO_ATTACH_FILTER = 26
_TCP_FLAGS, _SYN_AND_ACK, _SYN = 13, 0x12, 0x02
# Classic BPF on the TCP header: a segment that opens a connection is dropped, any other is let through.
_DROP_OPENING_SEGMENTS = (
    (0x30, 0, 0, _TCP_FLAGS),
    (0x54, 0, 0, _SYN_AND_ACK),
    (0x15, 0, 1, _SYN),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 0xFFFF),
)
_log = logging.getLogger(__name__)


def refuse_new_connections(listener: socket.socket) -> None:
    """Let no connection begin; those whose handshake has begun can still be accepted.

    A socket that is simply closed resets the connections that came between the last one accepted and the closing.
    Whoever knocks meanwhile is not answered, knocks again a second later, and is refused then. Only Linux can do
    that, and some kernels let only administrators do it; elsewhere nothing happens, and that gap stays.
    """
    if sys.platform != "linux" or listener.family not in (socket.AF_INET, socket.AF_INET6):
        return
    instructions = b"".join(struct.pack("HBBI", *instruction) for instruction in _DROP_OPENING_SEGMENTS)
    held = ctypes.create_string_buffer(instructions, len(instructions))
    program = struct.pack("HP", len(_DROP_OPENING_SEGMENTS), ctypes.addressof(held))
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    except PermissionError as error:
        _log.info("a connection that begins as the service ends may be reset: no filter is allowed (%s)", error)


_HANDSHAKE_SECONDS = 0.1
_FIRST_REQUEST_SECONDS = 2.0
"""How long who has just connected may take to send a request."""
_NEXT_REQUEST_SECONDS = 0.5
"""The same for a kept connection, which may be idle and have nothing to send."""
_POLL_SECONDS = 0.01


class DrainingServer(uvicorn.Server):
    """As uvicorn's, which closes connections whose request is on its way: their clients see a reset.

    Whoever has connected before nobody is let in any more is answered if the request comes at once, and is told
    with the answer that it was the connection's last.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let nobody in any more, answer what has come, and end."""
        for listener in sockets or []:
            refuse_new_connections(listener)
        # For handshakes that have begun.
        await asyncio.sleep(_HANDSHAKE_SECONDS)
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        self._announce_the_end()
        waited = await self._requests_on_their_way()
        if self.config.timeout_graceful_shutdown is not None:
            self.config.timeout_graceful_shutdown = max(1, self.config.timeout_graceful_shutdown - int(waited))
        await super().shutdown(sockets)

    async def _requests_on_their_way(self) -> float:
        """Wait for them; the seconds that it took."""
        started = time.monotonic()
        while any(_is_waited_for(one, time.monotonic() - started) for one in self.server_state.connections):
            await asyncio.sleep(_POLL_SECONDS)
        return time.monotonic() - started

    def _announce_the_end(self) -> None:
        """Every answer that begins from now on says `Connection: close`."""
        self.server_state.default_headers.append((b"connection", b"close"))
        for connection in self.server_state.connections:
            cycle = getattr(connection, "cycle", None)
            # A client that has the head of its answer already was told that it may ask again.
            if cycle is not None and not cycle.response_started:
                cycle.keep_alive = False


def _is_waited_for(connection: object, seconds: float) -> bool:
    """Whether it may still send a request, so long after the end was announced."""
    cycle = getattr(connection, "cycle", None)
    if cycle is None:
        return seconds < _FIRST_REQUEST_SECONDS
    return bool(cycle.response_complete) and seconds < _NEXT_REQUEST_SECONDS
