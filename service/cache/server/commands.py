"""Commands as the cache sends them: their types, scripts, and commands that are bytes of the protocol already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha1
from importlib.resources import files

PIPELINE_COMMANDS = 1000
"""Commands sent at once: more gain nothing and hold the server up."""

Command = tuple[str | bytes | int, ...]
Row = tuple[bytes, float]
"""A member of a sorted set and its score."""
Argument = str | int
Reply = int | bytes | None | list["Reply"]
ScriptCall = tuple[str, Sequence[Argument]]
"""Key and arguments of one run of a script."""


def options_of(command: Command) -> dict[str, bool]:
    """What redis-py needs to know of a command to give rows of (member, score) in both protocols."""
    return {"withscores": True} if command[0] == "ZREVRANGE" else {}


@dataclass(frozen=True)
class Script:
    """A Lua script that touches one key."""

    text: str

    @cached_property
    def digest(self) -> str:
        """What EVALSHA calls it by."""
        return sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    @classmethod
    def from_file(cls, name: str) -> Script:
        """Read a `.lua` file of this package."""
        return cls(files("service.cache").joinpath(name).read_text(encoding="utf-8"))


def bulk(value: bytes) -> bytes:
    """One packed argument."""
    return b"$%d\r\n%b\r\n" % (len(value), value)


def script_load(script: Script) -> bytes:
    """The packed command that makes a server know a script."""
    return b"*3\r\n" + bulk(b"SCRIPT") + bulk(b"LOAD") + bulk(script.text.encode())


class PackedScript:
    """Packed runs of a script."""

    def __init__(self, script: Script) -> None:
        self._start = bulk(b"EVALSHA") + bulk(script.digest.encode())

    def call(self, keys: Sequence[bytes], arguments: Sequence[bytes]) -> bytes:
        """One run; keys and arguments are packed already (`bulk`), each one item."""
        count = 3 + len(keys) + len(arguments)
        number = bulk(b"%d" % len(keys))
        return b"".join((b"*%d\r\n" % count, self._start, number, *keys, *arguments))
