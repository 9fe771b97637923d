"""What a look-up over HTTP cannot be faster than: the framework answers the same bytes, with no cache behind.

python -m benchmarks.bare_server PRODUCTS
"""

from __future__ import annotations

import socket
import sys

import uvicorn
from fastapi import FastAPI

app = FastAPI()
_answer: dict[str, object] = {}


@app.get("/cache/{marketplace}")
async def look_up(marketplace: str, query: str) -> dict[str, object]:
    """Always the same products."""
    return {**_answer, "marketplace": marketplace, "query": query}


def serve(products: int) -> None:
    """Serve on a free port, which is told as the service tells its own."""
    _answer["products"] = [{"id": f"B{number:09d}", "score": 0.9731} for number in range(products)]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sys.stderr.write(f"listening on http://127.0.0.1:{listener.getsockname()[1]} \n")
        sys.stderr.flush()
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        server.run(sockets=[listener])


if __name__ == "__main__":
    serve(int(sys.argv[1]))
