"""What is checked before readers see a new generation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from model_store.errors import CacheUnavailableError, VerificationError
from service.cache.generation_builder import GenerationBuilder
from service.cache.generations import Generation
from service.cache.keys import entries_prefix
from service.cache.look_ups import SCORE_SCALE
from service.cache.server.commands import Row
from service.cache.server.connection import SetCounts
from service.cache.store import CacheStore
from service.fill.candidates.chunks import Chunk, ReadingState, UselessCandidatesError
from service.fill.generation.state import FillState
from service.fill.report.report import FillCounts
from service.fill.report.sample import SampledPair
from service.fill.report.stage_times import StageTimes
from service.fill.retry import RetryPolicy
from service.fill.scoring import batch_runner_for, score_chunks
from service.fill.target import FillTarget
from service.settings import ServiceSettings


class GenerationChecks:
    """The checks of one fill, done with retry where the cache is asked."""

    def __init__(self, target: FillTarget, state: FillState, retry: RetryPolicy) -> None:
        self._target = target
        self._state = state
        self._retry = retry

    async def verify(self, counts: FillCounts) -> None:
        """Compare what the cache holds with what was written, and a sample with a second scoring.

        Fills in what of `counts` only the cache knows.

        Raises:
            UselessCandidatesError: there was no pair.
            EntriesLostError: something is missing.
            RescoringError: a score is another one now.
            CacheUnavailableError: the cache stays away.
        """
        cache, generation, retry = self._target.cache, self._state.generation, self._retry
        if not counts.queries:
            raise UselessCandidatesError(
                f"the files hold no pair of {generation.marketplace!r} ({counts.rows} rows); "
                "the cache is as it was"
            )
        prefix = entries_prefix(generation.marketplace, generation.number)
        found = await retry.run(lambda: cache.connection.counts(prefix))
        check_counts(found, counts.queries, counts.kept)
        counts.cached, counts.nothing_relevant = found.members, found.markers
        sample, threshold = self._state.record.newest.sample, self._target.threshold()
        check_rescored(sample, await self._rescored(sample))
        await retry.run(lambda: check_stored(cache, generation, sample, threshold))

    async def compare_shares(self, counts: FillCounts) -> None:
        """Compare shares with those of the generation that is read now.

        Raises:
            VerificationError: one of them moved by more than a setting allows.
            CacheUnavailableError: the cache stays away.
        """
        generations, name = self._target.cache.generations, self._target.marketplace
        active = await self._retry.run(lambda: generations.readable_active(name))
        check_shares(counts, active, self._target.settings)

    async def _rescored(self, sample: Sequence[SampledPair]) -> np.ndarray:
        pairs = [sampled.pair(self._target.marketplace) for sampled in sample]
        runner, sink = batch_runner_for(self._target.batching), _ScoresSink()
        chunk = Chunk(pairs, ReadingState(), ends_window=True)
        await score_chunks([chunk], self._target.scorer, runner, StageTimes(), sink)
        return np.concatenate(sink.scores)


class _ScoresSink:
    """Keeps the scores of each chunk."""

    def __init__(self) -> None:
        self.scores: list[np.ndarray] = []

    async def add(self, chunk: Chunk, scores: np.ndarray) -> None:  # noqa: ARG002 - whose scores is known
        self.scores.append(scores)

    async def finish(self) -> None:
        pass

    async def abandon(self) -> None:
        pass


RESCORING_TOLERANCE = 0.02
"""Of scores in [0, 1]: in another batch sums are rounded otherwise, in bf16 visibly."""


_FEWEST_QUERIES = 100
"""Shares of fewer move by chance."""


class EntriesLostError(CacheUnavailableError):
    """The cache does not hold what was written to it."""


class RescoringError(VerificationError):
    """A score is another one when it is computed again."""


def check_counts(found: SetCounts, queries: int, kept: int) -> None:
    """Compare what the cache holds with what was written.

    Raises:
        EntriesLostError: something is missing.
    """
    if found.sets != queries or found.members > kept:
        raise EntriesLostError(
            f"the cache holds {found.sets} queries and {found.members} products where {queries} and at most "
            f"{kept} were written; the old generation stays. Is maxmemory-policy noeviction?"
        )


def check_rescored(sample: Sequence[SampledPair], rescored: np.ndarray) -> None:
    """Compare a sample's scores with those of a second scoring.

    Args:
        rescored: (sample) scores in [0, 1].

    Raises:
        RescoringError: a score is another one now.
    """
    for pair, score in zip(sample, rescored.tolist(), strict=True):
        if not abs(score - pair.score) <= RESCORING_TOLERANCE:
            raise RescoringError(
                f"query {pair.query!r}, product {pair.product_id!r}: the score was {pair.score:.4f}, and "
                f"{score:.4f} when it was computed again; the old generation stays. Run the fill again, and "
                "check the machine if it happens again"
            )


async def check_stored(
    cache: CacheStore, generation: Generation, sample: Sequence[SampledPair], threshold: float
) -> None:
    """Look a sample up in the generation.

    Raises:
        EntriesLostError: a pair is not there though it should be, or has a lower score.
    """
    builder = GenerationBuilder(cache, generation)
    keys = [builder.key(pair.query) for pair in sample]
    found = await cache.connection.send([("ZREVRANGE", key, 0, -1, "WITHSCORES") for key in keys]) if keys else []
    off_sale = (await cache.removed.state(generation.marketplace)).ids
    for pair, reply in zip(sample, found, strict=True):
        rows = cast("list[Row]", reply)
        if not _is_stored(pair, rows, threshold, cache.cap, pair.product_id in off_sale):
            raise EntriesLostError(
                f"query {pair.query!r}, product {pair.product_id!r} with score {pair.score:.4f} is not in the "
                "cache as it was written; the old generation stays. Is maxmemory-policy noeviction?"
            )


def _is_stored(pair: SampledPair, rows: Sequence[Row], threshold: float, cap: int, off_sale: bool) -> bool:
    if pair.score < threshold:
        return bool(rows)
    score = round(pair.score * SCORE_SCALE)
    scores = dict(rows)
    stored = scores.get(pair.product_id.encode())
    if stored is not None:
        return stored >= score
    crowded_out = len(rows) >= cap and rows[-1][1] >= score
    return off_sale or crowded_out


def check_shares(counts: FillCounts, active: Generation | None, settings: ServiceSettings) -> None:
    """Compare shares with those of the generation that is read now, if both have at least 100 queries.

    Raises:
        VerificationError: one of them moved by more than a setting allows.
    """
    if active is None or active.kept_share is None or active.nothing_relevant is None:
        return
    if min(active.queries or 0, counts.queries) < _FEWEST_QUERIES:
        return
    was_empty = active.nothing_relevant / (active.queries or 1)
    compared = (
        ("kept pairs", counts.kept_share, active.kept_share, "KEPT", settings.fill_kept_share_change),
        ("queries without a product", counts.empty_share, was_empty, "EMPTY", settings.fill_empty_share_change),
    )
    for name, new, old, word, most in compared:
        if abs(new - old) > most:
            raise VerificationError(
                f"the share of {name} is {new:.1%} and was {old:.1%} in generation {active.number}, a change of "
                f"more than {most:.1%} (FILL_{word}_SHARE_CHANGE); the old generation stays. --dry-run shows the "
                "difference. If it is right, run the same command with --accept-changes: nothing is scored again"
            )
