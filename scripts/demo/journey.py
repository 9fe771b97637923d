"""How far the demo is: which step of how many, how fast, and how long all the rest will take."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_PRIOR_SECONDS = 10.0
"""So many seconds at the expected pace weigh against what has been seen of the real one."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a step.

    Args:
        name: for a stage of training the name that it reports.
        label: its kind, which stands before its count.
        seconds: what it is expected to take.
        counted: whether it is told how much of it is done; its time alone says nothing of the pace if not.
        scales: whether other data than those of the expected seconds make it longer.
    """

    name: str
    seconds: float
    label: str = ""
    counted: bool = False
    scales: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """What a person sees as one step."""

    title: str
    parts: tuple[Part, ...]


@dataclass(slots=True)
class _Count:
    begun: int
    done: int
    total: int
    unit: str
    since: float

    @property
    def share(self) -> float:
        """Of the whole, done since this count began."""
        return (self.done - self.begun) / max(1, self.total)


@dataclass(slots=True)
class _Pace:
    """Real and expected seconds of what was done."""

    real: float = 0.0
    expected: float = 0.0

    def factor(self, prior: float, more: _Pace | None = None) -> float:
        """Real seconds for each expected one, where so much was to be expected before anything was seen.

        Args:
            more: what is not noted yet.
        """
        real, expected = (
            (self.real + more.real, self.expected + more.expected) if more else (self.real, self.expected)
        )
        return (_PRIOR_SECONDS * prior + real) / (_PRIOR_SECONDS + expected)


class Journey:
    """Parts of steps, one after another. A part is entered, perhaps counted, and over; some are passed by.

    The time left is that of the parts' expected seconds, times the pace that was seen in parts of the same kind,
    and in all parts before there are any. Parts of training have a pace of their own: data that are not those of
    the expected seconds make only them longer.

    Args:
        clock: seconds of any beginning.
    """

    def __init__(self, steps: Sequence[Step], clock: Callable[[], float] = time.monotonic) -> None:
        self.steps = list(steps)
        self._clock = clock
        self._parts = [(number, part) for number, step in enumerate(steps) for part in step.parts]
        self._place = 0
        self._began = self._entered = clock()
        self._count: _Count | None = None
        self._training, self._serving = _Pace(), _Pace()
        self._kinds: dict[str, _Pace] = {}
        self.seconds: dict[str, float] = {}
        """What each part took that was done whole, by name."""

    @property
    def step(self) -> int:
        """Number of the present step, from 1."""
        return self._present[0] + 1

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._began

    def enter(self, name: str) -> bool:
        """Be at the beginning of a part; those before it are over or passed by.

        Returns:
            False if no part of the name is still to come.
        """
        for place in range(self._place, len(self._parts)):
            if self._parts[place][1].name == name:
                self._move(place)
                return True
        return False

    def over(self) -> None:
        """The present part is done; the next one begins."""
        self._move(min(self._place + 1, len(self._parts)))

    def finish_step(self, title: str) -> None:
        """A step is done, whichever of its parts were passed by."""
        number = next(place for place, step in enumerate(self.steps) if step.title == title)
        after = sum(len(step.parts) for step in self.steps[: number + 1])
        self._move(max(self._place, after))

    def count(self, done: int, total: int, unit: str) -> None:
        """So much of the present part is done; the first call says with how much it begins."""
        if self._count is None:
            self._count = _Count(done, done, total, unit, self._clock())
        self._count.done, self._count.total = done, total

    def advance(self, amount: int) -> None:
        """So many more units of the present part are done."""
        if self._count is not None:
            self._count.done += amount

    def seconds_left(self) -> float:
        """Of all that is still to be done."""
        if self._place >= len(self._parts):
            return 0.0
        (_, part), count = self._present, self._count
        later = sum(self._expected(part) for _, part in self._parts[self._place + 1 :])
        if count is not None:
            return later + self._expected(part) * (1 - count.done / max(1, count.total))
        spent = 0.0 if part.counted else self._clock() - self._entered
        return later + max(0.0, self._expected(part) - spent)

    def text(self) -> str:
        """As `step 3 of 8: learning es (adapter 120/240), 4.2 steps/s`."""
        (number, part), count = self._present, self._count
        text = f"step {number + 1} of {len(self.steps)}: {self.steps[number].title}"
        if count is None:
            return text
        text += f" ({f'{part.label} {count.done:,}/{count.total:,}'.strip()})"
        seconds = self._clock() - count.since
        rate = (count.done - count.begun) / seconds if seconds > 0 else 0.0
        return f"{text}, {rate:,.1f} {count.unit}/s" if rate > 0 else text

    @property
    def _present(self) -> tuple[int, Part]:
        """Number of the step, from 0, and the part; the last ones when all is over. Other threads read it."""
        return self._parts[min(self._place, len(self._parts) - 1)]

    def _expected(self, part: Part) -> float:
        """Seconds of the whole part, by what was seen so far."""
        seen = self._seen_of_this_part()
        training = self._training.factor(1.0, seen if self._present[1].scales else None)
        if not part.scales:
            # More data than expected slow only training down; a faster machine is faster at everything.
            return part.seconds * self._serving.factor(min(1.0, training))
        more = seen if part.label == self._present[1].label else None
        return part.seconds * self._kinds.get(part.label, _Pace()).factor(training, more)

    def _seen_of_this_part(self) -> _Pace:
        """What is done of the present part, if it is counted."""
        (_, part), count = self._present, self._count
        if count is None or not count.share:
            return _Pace()
        return _Pace(self._clock() - count.since, part.seconds * count.share)

    def _move(self, place: int) -> None:
        if place == self._place:
            return
        (_, part), count, seconds = self._present, self._count, self._clock() - self._entered
        if place == self._place + 1 and (count is not None or not part.counted):
            expected = part.seconds * (count.share if count else 1.0)
            for pace in (
                self._training if part.scales else self._serving,
                self._kinds.setdefault(part.label, _Pace()),
            ):
                pace.real += seconds
                pace.expected += expected
            self.seconds[part.name] = round(seconds, 2)
        self._place, self._entered, self._count = place, self._clock(), None
