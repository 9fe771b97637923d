"""`python -m service` in processes of its own, with a store and a cache folder that all of them share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.support import REPOSITORY


@dataclass(frozen=True)
class Finished:
    """How a command ended and what it printed."""

    code: int
    output: str
    errors: str


class Server:
    """`python -m service serve`; what it prints is awaited when somebody asks for it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @cached_property
    def first_line(self) -> str:
        """The first line on standard output."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip("\n")

    @cached_property
    def address(self) -> str:
        """Where it listens, ready or not."""
        assert self._process.stderr is not None
        word = "listening on "
        line = next(line for line in self._process.stderr if line.startswith(word))
        return line.removeprefix(word).split()[0]

    def resident_megabytes(self) -> float:
        """Its memory."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text(encoding="utf-8").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.send_signal(signal.SIGTERM)

    def end(self) -> Finished:
        """Send SIGTERM and wait; the output is what came after the first line."""
        assert self.first_line
        self.terminate()
        return self.ended()

    def ended(self) -> Finished:
        """Wait for a server that was told to end; the output is what nobody has read yet."""
        output, errors = self._process.communicate(timeout=60)
        return Finished(self._process.returncode, output, errors)


@dataclass(frozen=True)
class Shop:
    """Settings that all commands share: a store, a cache folder, a folder to run in."""

    folder: Path
    settings: Mapping[str, str]

    @classmethod
    def in_folder(cls, folder: Path, store: Path) -> Shop:
        """A shop with an empty cache."""
        folder.mkdir(parents=True, exist_ok=True)
        own = {
            "MODEL_STORE": str(store),
            "CACHE_FOLDER": str(folder / "cache"),
            "FILL_FOLDER": str(folder / "fills"),
            "HOST": "127.0.0.1",
            "PORT": "0",
            "DEVICE": "cpu",
            "REDIS_URL": "",
            "COLUMNS": "200",
        }
        return cls(folder, own)

    def started(self, *arguments: str, stdin: int | None = None) -> subprocess.Popen[str]:
        """Start `python -m service ARGUMENTS`."""
        return subprocess.Popen(
            [sys.executable, "-m", "service", *arguments],
            cwd=self.folder,
            env={**os.environ, **self.settings, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, piped: str | None = None) -> Finished:
        """Run `python -m service ARGUMENTS` to its end."""
        with self.started(*arguments, stdin=None if piped is None else subprocess.PIPE) as process:
            output, errors = process.communicate(piped, timeout=120)
        return Finished(process.returncode, output, errors)

    @contextmanager
    def serving(self) -> Iterator[Server]:
        """A server, ended when the context is left."""
        with self.started("serve") as process:
            try:
                yield Server(process)
            finally:
                process.terminate()
                process.communicate(timeout=60)
