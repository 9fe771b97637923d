"""A typed connection to Redis or Valkey: only the commands that the cache needs, one kind of error."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.cluster import ClusterPipeline, RedisCluster
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import RedisError, ResponseError

from service.cache.server.address import SETTING, CacheAddress
from service.cache.server.commands import (
    PIPELINE_COMMANDS,
    Argument,
    Command,
    Reply,
    Row,
    Script,
    ScriptCall,
    options_of,
)
from service.cache.server.errors import CacheRefusedError, UnreadableRecordError, asked, reported

_REPLACE = Script(
    "if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end\n"
    "redis.call('SET', KEYS[1], ARGV[2])\n"
    "return 1\n"
)


_REMOVE = Script(
    "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\nreturn redis.call('DEL', KEYS[1])\n"
)
_WHOSE = "another program writes to this Redis; give each a database or a server of its own, and fill again"


@dataclass(frozen=True, slots=True)
class SetCounts:
    """How many sorted sets there are, their members, and how many hold the empty member instead."""

    sets: int
    members: int
    markers: int


class CacheConnection:
    """Every method raises CacheUnavailableError when the server does not answer or refuses.

    Values are UTF-8 texts. A command is tried a second time on a fresh connection, as an idle one may have
    been closed by the server.
    """

    def __init__(self, client: Redis | RedisCluster, name: str, closed_with_it: Sequence[Redis] = ()) -> None:
        self._client = client
        self._closed_with_it = closed_with_it
        self.is_cluster = isinstance(client, RedisCluster)
        self.name = name

    @classmethod
    def open(
        cls, url: str, *, cluster: bool = False, timeout_seconds: float = 2.0, where: str = SETTING
    ) -> CacheConnection:
        """Connect lazily to what a URL says (see `service.cache.server.address`).

        Args:
            where: what an error names.

        Raises:
            ConfigurationError: the URL is not one.
        """
        address = CacheAddress.parse(url, cluster=cluster, timeout_seconds=timeout_seconds, where=where)
        client, others = address.asynchronous_client()
        return cls(client, address.name, others)

    async def close(self) -> None:
        """Drop all connections."""
        with asked(self.name):
            for client in (self._client, *self._closed_with_it):
                await client.aclose()

    async def ping(self) -> None:
        """Ask for a sign of life."""
        await self._run(self._client.execute_command("PING"))

    async def get(self, key: str) -> str | None:
        """The text at a key.

        Raises:
            UnreadableRecordError: there is something else.
        """
        try:
            reply = await self._run(self._client.execute_command("GET", key))
            return reply.decode() if isinstance(reply, bytes) else None
        except UnicodeDecodeError as error:
            raise UnreadableRecordError(key, _WHOSE) from error
        except CacheRefusedError as error:
            if "WRONGTYPE" not in str(error):
                raise
            raise UnreadableRecordError(key, _WHOSE) from error

    async def replace(self, key: str, old: str | None, new: str) -> bool:
        """Write a text if another one, or none, is there; False and no change otherwise."""
        return await self.run_script(_REPLACE, [(key, ["" if old is None else old, new])]) == [1]

    async def remove(self, key: str, text: str) -> bool:
        """Remove a key if this text is there."""
        return await self.run_script(_REMOVE, [(key, [text])]) == [1]

    async def put(self, key: str, value: str, *, if_absent: bool = False, seconds: int | None = None) -> bool:
        """Write a text; False if `if_absent` and the key exists. `seconds` makes it expire."""
        options: list[Argument] = ["NX"] if if_absent else []
        options += ["EX", seconds] if seconds is not None else []
        return await self._run(self._client.execute_command("SET", key, value, *options)) is not None

    async def delete(self, key: str) -> None:
        """Remove one key."""
        await self._run(self._client.execute_command("UNLINK", key))

    async def delete_all(self, keys: Sequence[str]) -> int:
        """Remove keys; returns how many were there."""
        return sum(cast("list[int]", await self._pipelined([("UNLINK", key) for key in keys]))) if keys else 0

    async def increment(self, key: str) -> int:
        """Add one and return the new number."""
        return cast("int", await self._run(self._client.execute_command("INCR", key)))

    async def add_member(self, key: str, member: int) -> None:
        """Put a number into a set."""
        await self._run(self._client.execute_command("SADD", key, member))

    async def remove_member(self, key: str, member: int) -> None:
        """Take a number out of a set."""
        await self._run(self._client.execute_command("SREM", key, member))

    async def members(self, key: str) -> set[int]:
        """The numbers in a set."""
        reply = await self._run(self._client.execute_command("SMEMBERS", key))
        return {int(member) for member in cast("set[bytes]", reply) if member.isdigit()}

    async def sorted_set(self, key: str) -> list[tuple[str, int]]:
        """Members of a sorted set with their integer scores, in the order of ZREVRANGE."""
        rows = cast("list[Row]", await self._single(("ZREVRANGE", key, 0, -1, "WITHSCORES")))
        return [(member.decode(), int(score)) for member, score in rows]

    async def send(self, commands: Sequence[Command]) -> list[object]:
        """Replies to reading commands, in one round trip."""
        if not self.is_cluster:
            return await self._read(commands)
        if len(commands) == 1:
            return [await self._single(commands[0])]
        return cast("list[object]", await self._pipelined(commands))

    async def _single(self, command: Command) -> object:
        return await self._run(self._client.execute_command(*command, **options_of(command)))

    async def run_script(self, script: Script, calls: Sequence[ScriptCall]) -> list[Reply]:
        """Run a script once per call, in pipelines of up to `PIPELINE_COMMANDS`; replies in order."""
        replies: list[Reply] = []
        for start in range(0, len(calls), PIPELINE_COMMANDS):
            replies += await self._run_pipeline(script, calls[start : start + PIPELINE_COMMANDS])
        return replies

    async def _run_pipeline(self, script: Script, calls: Sequence[ScriptCall]) -> list[Reply]:
        # In a cluster the script would have to be loaded on every node, so there its text is sent.
        command, body = ("EVAL", script.text) if self.is_cluster else ("EVALSHA", script.digest)
        commands: list[Command] = [(command, body, 1, key, *arguments) for key, arguments in calls]
        if self.is_cluster:
            return await self._pipelined(commands)
        return (await self._pipelined([("SCRIPT LOAD", script.text), *commands]))[1:]

    async def _pipelined(self, commands: Sequence[Command]) -> list[Reply]:
        pipeline: Pipeline | ClusterPipeline
        if isinstance(self._client, RedisCluster):
            pipeline = self._client.pipeline()
        else:
            pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command, **options_of(command))
        return cast("list[Reply]", await self._run(pipeline.execute()))

    async def send_packed(self, commands: Sequence[bytes]) -> None:
        """Send commands that are bytes of the protocol already, in one round trip; not to a cluster.

        Raises:
            CacheUnavailableError: also when the server refuses one of them; the others may have been carried out.
        """
        with asked(self.name):
            connection = await self._borrowed()
            try:
                replies = await self._exchanged(connection, commands, len(commands))
            finally:
                await self._pool.release(connection)
        self._raise_refusal(replies)

    async def _read(self, commands: Sequence[Command]) -> list[object]:
        """Replies as by a pipeline of redis-py, a third faster; one server, what can be asked twice."""
        with asked(self.name):
            connection = await self._borrowed()
            try:
                packed = connection.pack_commands(commands)
                replies = await connection.retry.call_with_retry(
                    lambda: self._exchanged(connection, packed, len(commands)),
                    lambda error: connection.disconnect(error=error),
                )
            finally:
                await self._pool.release(connection)
        self._raise_refusal(replies)
        callbacks = cast("Redis", self._client).response_callbacks
        return [
            callbacks[name](reply, **options_of(command))
            if (name := cast("str", command[0])) in callbacks
            else reply
            for command, reply in zip(commands, replies, strict=True)
        ]

    @property
    def _pool(self) -> ConnectionPool:
        return cast("Redis", self._client).connection_pool

    async def _borrowed(self) -> AbstractConnection:
        return cast("AbstractConnection", await self._pool.get_connection())  # type: ignore[no-untyped-call]

    async def _exchanged(
        self, connection: AbstractConnection, packed: Sequence[bytes], commands: int
    ) -> list[object]:
        await connection.send_packed_command(packed)
        return [await self._reply(connection) for _ in range(commands)]

    def _raise_refusal(self, replies: Sequence[object]) -> None:
        for reply in replies:
            if isinstance(reply, RedisError):
                with reported(self.name):
                    raise reply

    @staticmethod
    async def _reply(connection: AbstractConnection) -> object:
        try:
            return await connection.read_response()
        except ResponseError as error:
            # The replies to the other commands are still to be read.
            return error

    async def run_ids(self) -> tuple[str, ...]:
        """What tells one run of the server, or of each node of a cluster, from its next one."""
        return tuple(sorted(str(info["run_id"]) for info in await self._information("server")))

    async def used_memory(self) -> int:
        """Bytes that the server, or the primaries of a cluster, use in all."""
        return sum(int(cast("int", info["used_memory"])) for info in await self._information("memory"))

    async def _information(self, section: str) -> list[dict[str, object]]:
        if not isinstance(self._client, RedisCluster):
            return [cast("dict[str, object]", await self._single(("INFO", section)))]
        nodes = RedisCluster.PRIMARIES
        reply = await self._run(self._client.execute_command("INFO", section, target_nodes=nodes))
        return list(cast("dict[str, dict[str, object]]", reply).values())

    async def counts(self, prefix: str) -> SetCounts:
        """Count the sorted sets under a prefix and their members."""
        # SCAN may name a key twice: 8 bytes a key tell.
        keys, sizes, markers = array("q"), array("q"), array("b")
        async for batch in self.key_batches(prefix):
            commands: list[Command] = []
            for key in batch:
                commands += [("ZCARD", key), ("ZSCORE", key, "")]
            replies = await self._pipelined(commands)
            keys.extend(map(hash, batch))
            sizes.extend(cast("list[int]", replies[0::2]))
            markers.extend(int(score is not None) for score in replies[1::2])
        _, first = np.unique(np.array(keys), return_index=True)
        marked = int(np.array(markers)[first].sum())
        return SetCounts(len(first), int(np.array(sizes)[first].sum()) - marked, marked)

    async def unlink_prefix(self, prefix: str) -> None:
        """Remove all keys under a prefix, in batches."""
        async for batch in self.key_batches(prefix):
            await self._pipelined([("UNLINK", key) for key in batch])

    async def key_batches(self, prefix: str) -> AsyncIterator[list[bytes]]:
        """All keys under a prefix, of all nodes; a key may come twice."""
        batch: list[bytes] = []
        with asked(self.name):
            async for key in self._client.scan_iter(match=f"{prefix}*", count=PIPELINE_COMMANDS):
                batch.append(cast("bytes", key))
                if len(batch) == PIPELINE_COMMANDS // 2:
                    yield batch
                    batch = []
        if batch:
            yield batch

    async def _run(self, answer: Awaitable[object]) -> object:
        with asked(self.name):
            return await answer
