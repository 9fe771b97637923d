"""Scored chunks on their way into a generation, and what they add up to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from model_store.product import QueryProductPair
from service.fill.candidates.chunks import Chunk, ReadingState
from service.fill.generation.writer import GenerationWriter
from service.fill.report.histogram import ScoreHistogram
from service.fill.report.sample import SampledPair, ScoredSample


class ScoreTotals:
    """What scored pairs add up to: the same in whatever order and parts they come.

    Args:
        sample: pairs to be scored again and looked up before readers see them.
        histogram: how the scores are spread; its threshold is the score from which a pair is kept.
    """

    def __init__(self, sample: ScoredSample, histogram: ScoreHistogram) -> None:
        self._sample = sample
        self.histogram = histogram

    @property
    def sample(self) -> tuple[SampledPair, ...]:
        """The pairs of the sample, in its order."""
        return self._sample.pairs()

    def add(self, pairs: Sequence[QueryProductPair], scores: np.ndarray) -> np.ndarray:
        """Count scored pairs.

        Args:
            pairs: (n) pairs.
            scores: (n) in [0, 1].

        Returns:
            (n) bool, whether each is kept.

        Raises:
            RelevanceError: a score is not a number of [0, 1].
        """
        kept: np.ndarray = scores >= self.histogram.threshold
        self._sample.add(pairs, scores)
        self.histogram = self.histogram.with_scores(scores)
        return kept

    def merge(self, marketplace: str, sample: Iterable[SampledPair], histogram: ScoreHistogram) -> None:
        """Add what was counted elsewhere."""
        self.histogram = self.histogram.merged(histogram)
        for sampled in sample:
            self._sample.add([sampled.pair(marketplace)], np.array([sampled.score]))


class GenerationSink:
    """Counts the scored chunks of a part of the candidates, and writes them into a generation.

    `reading` is the state after the last chunk that was added.
    """

    def __init__(self, writer: GenerationWriter, totals: ScoreTotals) -> None:
        self._writer = writer
        self._totals = totals
        self.reading = ReadingState()

    async def add(self, chunk: Chunk, scores: np.ndarray) -> None:
        """Take a chunk; all of it is in the cache after `finish`.

        Raises:
            CacheUnavailableError: the cache does not answer.
        """
        kept = self._totals.add(chunk.pairs, scores)
        await self._writer.add(chunk.pairs, scores, kept)
        self.reading = chunk.after

    async def finish(self) -> None:
        """All that was added is in the cache when this returns.

        Raises:
            CacheUnavailableError: the cache does not answer.
        """
        await self._writer.flush()

    async def abandon(self) -> None:
        """Write nothing more."""
        await self._writer.abandon()
