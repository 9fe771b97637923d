from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789012345678901234567890123456789"


class LocalHub(ThreadingHTTPServer):
    """A model hub on this machine: `folders` holds a folder of files for each hub id."""

    def __init__(self, folders: dict[str, Path]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folders = folders
        self.downloads: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: LocalHub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.removeprefix("/").removeprefix("api/models/").partition("?")[0]
        for hub_id, folder in self.server.folders.items():
            if path.startswith(f"{hub_id}/resolve/"):
                return self._file(folder / path.rsplit("/", 1)[1])
            if path.startswith(f"{hub_id}/tree/"):
                return self._tree(folder)
            if path == hub_id or path.startswith(f"{hub_id}/revision/"):
                return self._information(hub_id, folder)
        return self._answer(404, b"", {"X-Error-Code": "RepoNotFound"})

    def _information(self, hub_id: str, folder: Path) -> None:
        siblings = [{"rfilename": path.name} for path in sorted(folder.iterdir())]
        self._answer(200, json.dumps({"id": hub_id, "sha": COMMIT, "siblings": siblings}).encode())

    def _tree(self, folder: Path) -> None:
        files = [
            {"type": "file", "path": path.name, "size": path.stat().st_size, "oid": path.name}
            for path in sorted(folder.iterdir())
        ]
        self._answer(200, json.dumps(files).encode())

    def _file(self, path: Path) -> None:
        content = path.read_bytes()
        if self.command == "GET":
            self.server.downloads.append(path.name)
        digest = hashlib.sha256(content).hexdigest()
        self._answer(200, content, {"ETag": f'"{digest}"', "X-Repo-Commit": COMMIT})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Silent: what a test wants to know is in `downloads`."""


@contextmanager
def local_hub(folders: dict[str, Path]) -> Iterator[LocalHub]:
    with LocalHub(folders) as hub:
        thread = threading.Thread(target=hub.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()
