"""Commands as bytes of the Redis protocol: packing many small arguments is most of what writing in bulk costs."""

from __future__ import annotations

from collections.abc import Sequence

from service.cache.connection import Script


def bulk(value: bytes) -> bytes:
    """One argument."""
    return b"$%d\r\n%b\r\n" % (len(value), value)


def script_load(script: Script) -> bytes:
    """The command that makes a server know a script."""
    return b"*3\r\n" + bulk(b"SCRIPT") + bulk(b"LOAD") + bulk(script.text.encode())


class PackedScript:
    """Runs of a script."""

    def __init__(self, script: Script) -> None:
        self._start = bulk(b"EVALSHA") + bulk(script.digest.encode())

    def call(self, keys: Sequence[bytes], arguments: Sequence[bytes]) -> bytes:
        """One run; keys and arguments are packed already (`bulk`), each one item."""
        count = 3 + len(keys) + len(arguments)
        number = bulk(b"%d" % len(keys))
        return b"".join((b"*%d\r\n" % count, self._start, number, *keys, *arguments))
