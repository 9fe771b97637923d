"""Who may wait: work that would be answered too late is refused at once."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass

from model_store.errors import OverloadedError

_WEIGHT_OF_THE_NEWEST = 0.05


@dataclass(eq=False, slots=True)
class Ticket:
    """A call's place. The computing thread counts `tokens` down."""

    tokens: int


class TokenRate:
    """Tokens a second of the last batches: an exponentially weighted mean. One thread writes, any reads."""

    def __init__(self) -> None:
        self._seconds_per_token: float | None = None

    @property
    def tokens_per_second(self) -> float | None:
        """None before the first batch."""
        return 1 / self._seconds_per_token if self._seconds_per_token else None

    def note(self, tokens: int, seconds: float) -> None:
        """A batch was computed."""
        newest, known = seconds / max(1, tokens), self._seconds_per_token
        self._seconds_per_token = newest if known is None else known + _WEIGHT_OF_THE_NEWEST * (newest - known)


class Admission:
    """A queue bounded by tokens, for calls that are computed in turns. For one event loop.

    Calls take turns, so ahead of a call with n tokens there are at most n tokens of every other call: a huge
    call keeps no small one out, and an idle service takes a call of any size.

    Args:
        max_waiting_tokens: tokens that may be ahead of a call; None takes what is computed in `max_wait_seconds`.
        rate: what has been computed lately.
    """

    def __init__(self, max_waiting_tokens: int | None, max_wait_seconds: float, rate: TokenRate) -> None:
        self._max_waiting_tokens = max_waiting_tokens
        self._max_wait_seconds = max_wait_seconds
        self._rate = rate
        self._tickets: set[Ticket] = set()
        self._somebody_left = asyncio.Event()

    @property
    def waiting_tokens(self) -> int:
        """Tokens that are not computed yet."""
        return sum(ticket.tokens for ticket in self._tickets)

    @property
    def waiting_calls(self) -> int:
        """Calls that are not answered yet."""
        return len(self._tickets)

    @property
    def limit(self) -> float:
        """Tokens that may be ahead of a call."""
        if self._max_waiting_tokens is not None:
            return self._max_waiting_tokens
        rate = self._rate.tokens_per_second
        return math.inf if rate is None else rate * self._max_wait_seconds

    def ahead(self, tokens: int) -> int:
        """Tokens that are computed before a call of this size is answered, its own left out."""
        return sum(min(ticket.tokens, tokens) for ticket in self._tickets)

    def enter(self, tokens: int) -> Ticket:
        """Take a place.

        Raises:
            OverloadedError: too much is ahead; says for how long to stay away.
        """
        ahead = self.ahead(tokens)
        if ahead > self.limit:
            raise OverloadedError(
                f"about {ahead} tokens are ahead of this request, and at most {int(self.limit)} may be; "
                "ask again in a moment",
                retry_after_seconds=self._seconds_until_room(ahead),
            )
        ticket = Ticket(tokens)
        self._tickets.add(ticket)
        return ticket

    async def enter_patiently(self, tokens: int) -> Ticket:
        """Wait for room, then take a place."""
        while self.ahead(tokens) > self.limit:
            self._somebody_left.clear()
            await self._somebody_left.wait()
        return self.enter(tokens)

    def leave(self, ticket: Ticket) -> None:
        """Give the place up."""
        self._tickets.discard(ticket)
        self._somebody_left.set()

    def _seconds_until_room(self, ahead: int) -> int:
        rate = self._rate.tokens_per_second
        return 1 if rate is None else max(1, math.ceil((ahead - self.limit) / rate))
