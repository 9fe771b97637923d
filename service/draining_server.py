"""A server that loses no request when it ends."""

from __future__ import annotations

import asyncio
import socket
import time

import uvicorn

_FIRST_REQUEST_SECONDS = 0.5
"""How long a connection that was just made may take until its first request is here."""
_POLL_SECONDS = 0.01


class DrainingServer(uvicorn.Server):
    """As uvicorn's, which closes connections whose request is on its way: their clients see a reset.

    What has connected before nobody is let in any more is answered if it sends its first request at once.
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
        until = time.monotonic() + _FIRST_REQUEST_SECONDS
        while time.monotonic() < until and any(self._is_new(one) for one in self.server_state.connections):
            await asyncio.sleep(_POLL_SECONDS)
        await super().shutdown(sockets)

    @staticmethod
    def _is_new(connection: object) -> bool:
        return getattr(connection, "cycle", None) is None
