"""Looks at a new generation before readers see it: is all of it there, is it right, is it like the last one?"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing

import numpy as np

from service.cache.keys import entries_prefix
from service.fill.candidates.chunks import Chunk, ReadingState, UselessCandidatesError
from service.fill.computing import computing_for
from service.fill.generation.state import FillState
from service.fill.generation.verification import check_counts, check_rescored, check_shares, check_stored
from service.fill.report.report import FillCounts
from service.fill.report.sample import SampledPair
from service.fill.report.stage_times import StageTimes
from service.fill.retry import Patience
from service.fill.scoring import ChunkScoring
from service.fill.target import FillTarget


class GenerationChecks:
    """The checks of one fill, done with patience where the cache is asked."""

    def __init__(self, target: FillTarget, state: FillState, patience: Patience) -> None:
        self._target = target
        self._state = state
        self._patience = patience

    async def verify(self, counts: FillCounts) -> None:
        """Compare what the cache holds with what was written, and a sample with a second scoring.

        Fills in what of `counts` only the cache knows.

        Raises:
            UselessCandidatesError: there was no pair.
            EntriesLostError: something is missing.
            RescoringError: a score is another one now.
            CacheUnavailableError: the cache stays away.
        """
        cache, generation, patience = self._target.cache, self._state.generation, self._patience
        if not counts.queries:
            raise UselessCandidatesError(
                f"the files hold no pair of {generation.marketplace!r} ({counts.rows} rows); "
                "the cache is as it was"
            )
        prefix = entries_prefix(generation.marketplace, generation.number)
        found = await patience.run(lambda: cache.connection.counts(prefix))
        check_counts(found, counts.queries, counts.kept)
        counts.cached, counts.nothing_relevant = found.members, found.markers
        sample, threshold = self._state.record.newest.sample, self._target.threshold()
        check_rescored(sample, await self._rescored(sample))
        await patience.run(lambda: check_stored(cache, generation, sample, threshold))

    async def compare_shares(self, counts: FillCounts) -> None:
        """Compare shares with those of the generation that is read now.

        Raises:
            VerificationError: one of them moved by more than a setting allows.
            CacheUnavailableError: the cache stays away.
        """
        generations, name = self._target.cache.generations, self._target.marketplace
        active = await self._patience.run(lambda: generations.active(name))
        check_shares(counts, active, self._target.settings)

    async def _rescored(self, sample: Sequence[SampledPair]) -> np.ndarray:
        pairs = [sampled.pair(self._target.marketplace) for sampled in sample]
        computing = computing_for(self._target.batching)
        scoring = ChunkScoring(self._target.scorer, computing, StageTimes())
        try:
            async with aclosing(scoring.scored([Chunk(pairs, ReadingState(), ends_window=True)])) as chunks:
                return np.concatenate([scores async for _, scores in chunks])
        finally:
            await scoring.close()
            await computing.close()
