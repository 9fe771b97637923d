"""Reading commands as redis-py takes them, and the rows of a sorted set."""

from __future__ import annotations

Command = tuple[str | bytes | int, ...]
Row = tuple[bytes, float]


def options_of(command: Command) -> dict[str, bool]:
    """What redis-py needs to know of a command to give rows of (member, score) in both protocols."""
    return {"withscores": True} if command[0] == "ZREVRANGE" else {}
