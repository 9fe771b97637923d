"""A server that loses no request when it ends."""

from __future__ import annotations

import asyncio
import socket
import time

import uvicorn

_NEXT_REQUEST_SECONDS = 0.5
"""How long a connection that waits for a request may take until it is here."""
_POLL_SECONDS = 0.01


class DrainingServer(uvicorn.Server):
    """As uvicorn's, which closes connections whose request is on its way: their clients see a reset.

    Whoever has connected before nobody is let in any more is answered if the request comes at once, and is told
    with the answer that it was the connection's last.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let nobody in any more, answer what has come, and end."""
        # Let in who waits at the door; closing it would send them away.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        self._announce_the_end()
        until = time.monotonic() + _NEXT_REQUEST_SECONDS
        while time.monotonic() < until and any(map(_awaits_a_request, self.server_state.connections)):
            await asyncio.sleep(_POLL_SECONDS)
        await super().shutdown(sockets)

    def _announce_the_end(self) -> None:
        """Every answer that begins from now on says `Connection: close`."""
        self.server_state.default_headers.append((b"connection", b"close"))
        for connection in self.server_state.connections:
            cycle = getattr(connection, "cycle", None)
            # A client that has the head of its answer already was told that it may ask again.
            if cycle is not None and not cycle.response_started:
                cycle.keep_alive = False


def _awaits_a_request(connection: object) -> bool:
    cycle = getattr(connection, "cycle", None)
    return cycle is None or bool(cycle.response_complete)
