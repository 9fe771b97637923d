"""Scores pairs with one model version."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from model_store.encoding.batch import SPECIAL_TOKENS
from model_store.encoding.tokens import TokenizedPairs
from model_store.network.interaction import PairNetwork
from model_store.network.scoring import DEFAULT_TOKEN_BUDGET, probabilities
from model_store.product import QueryProductPair
from service.engine.backends.choice import TORCH_FLOAT32, EngineChoice
from service.engine.backends.machine import threads_beside, torch_threads
from service.engine.folded.network import FoldedNetwork
from service.engine.interactions.encoded_texts import EncodedTextFigures, EncodedTexts
from service.engine.interactions.explanation import PairExplanation, explain
from service.engine.interactions.interaction import Interaction, RowWork, compute_parts, tight_batches
from service.engine.interactions.joint_pairs import CrossPairs, LatePairs
from service.engine.interactions.two_towers import TwoTowers

if TYPE_CHECKING:
    from model_store.versions.loading import LoadedVersion


DEFAULT_ENCODED_TEXT_BYTES = 256 * 1024 * 1024

_CHARACTERS_PER_TOKEN = 4
"""Of European languages; Japanese has about 1.5, so its calls are underrated until they are tokenized."""

TextSide = Literal["query", "product"]
_SIDES: dict[tuple[bool, bool], tuple[TextSide, ...]] = {
    (False, False): (),
    (True, False): ("query",),
    (False, True): ("product",),
    (True, True): ("query", "product"),
}


@dataclass(frozen=True, slots=True)
class PreparedPairs:
    """Pairs as tokens: identical ones once."""

    tokenized: TokenizedPairs  # distinct pairs
    heads: np.ndarray  # (distinct pairs) int64
    index: list[int]  # (pairs) place of each among the distinct ones

    def truncated(self) -> list[tuple[TextSide, ...]]:
        """Of each pair, what lost tokens: `query`, `product`, both or none."""
        both = zip(self.tokenized.query_truncated, self.tokenized.product_truncated, strict=True)
        sides = [_SIDES[bool(query), bool(product)] for query, product in both]
        return [sides[place] for place in self.index]


class Scorer:
    """A model version in one of the forms in which it can be served.

    `prepare` may be called by any thread at any time; everything else by one thread at a time.

    Args:
        network: that form; the folded network in torch and float32 where none is given.
        choice: what the network is.
        token_budget: tokens of a batch, padding included.
        encoded_text_bytes: size of the cache of encoded texts.
    """

    def __init__(
        self,
        loaded: LoadedVersion,
        network: PairNetwork | None = None,
        choice: EngineChoice = TORCH_FLOAT32,
        *,
        token_budget: int = DEFAULT_TOKEN_BUDGET,
        encoded_text_bytes: int = DEFAULT_ENCODED_TEXT_BYTES,
    ) -> None:
        manifest = loaded.manifest
        self.manifest = manifest
        self.token_budget = token_budget
        self._tokenizer, self._route = loaded.tokenizer, loaded.route
        self._longest = manifest.pair_encoding.max_query_tokens + manifest.pair_encoding.max_product_tokens
        self._encoded_texts = EncodedTexts(encoded_text_bytes)
        self.choice = choice
        self._threads = threads_beside(choice.backend)
        self._network = network or FoldedNetwork(loaded.network, loaded.route).pack()
        self._interaction = self._chosen_interaction()
        self._heads = dict(zip(manifest.names, loaded.head_numbers(manifest.names).tolist(), strict=True))
        self._thresholds = {name: manifest.threshold(name) for name in manifest.names}

    def _chosen_interaction(self) -> Interaction[Any, Any]:
        network, tokenizer, route = self._network, self._tokenizer, self._route
        kind = network.pair_encoding.kind
        if kind == "cross":
            return CrossPairs(network, tokenizer, route)
        if kind == "two_tower":
            return TwoTowers(network, tokenizer, route, self._encoded_texts)
        return LatePairs(network, tokenizer, route, self._encoded_texts, self.token_budget)

    def with_texts_of_its_own(self) -> Scorer:
        """The same network with an empty cache of encoded texts of the same size."""
        other = copy.copy(self)
        other._encoded_texts = EncodedTexts(self._encoded_texts.max_bytes)
        other._interaction = other._chosen_interaction()
        return other

    def forget_texts(self) -> None:
        """Empty the cache of encoded texts."""
        self._encoded_texts.clear()

    @property
    def encoded_text_figures(self) -> EncodedTextFigures:
        """Hits, misses and size of the cache of encoded texts (not used by `cross`)."""
        return self._encoded_texts.figures

    @property
    def model_version(self) -> int:
        """The version's number."""
        return self.manifest.number

    @property
    def marketplaces(self) -> tuple[str, ...]:
        """Marketplaces that can be scored, in the order in which they were learnt."""
        return tuple(self._thresholds)

    @property
    def device(self) -> str:
        """Where it computes."""
        return str(self._network.device)

    def threshold(self, marketplace: str) -> float | None:
        """The score from which a pair is highly relevant; None where none is.

        Raises:
            KeyError: an unknown marketplace; requests are checked before.
        """
        return self._thresholds[marketplace]

    def is_highly_relevant(self, marketplace: str, score: float) -> bool:
        """Whether a score reaches the marketplace's threshold."""
        threshold = self._thresholds[marketplace]
        return threshold is not None and score >= threshold

    def prepare(self, pairs: Sequence[QueryProductPair]) -> PreparedPairs:
        """Tokenize the distinct ones of the pairs."""
        places: dict[QueryProductPair, int] = {}
        index = [places.setdefault(pair, len(places)) for pair in pairs]
        heads = np.array([self._heads[pair.marketplace] for pair in places], dtype=np.int64)
        return PreparedPairs(self._tokenizer.tokenize(list(places)), heads, index)

    @torch.inference_mode()
    def begin(self, prepared: PreparedPairs) -> RowWork[Any, Any]:
        """The rows that are to be computed for these pairs."""
        return self._interaction.work(prepared.tokenized, prepared.heads)

    @torch.inference_mode()
    def compute(self, parts: Sequence[tuple[RowWork[Any, Any], np.ndarray]]) -> None:
        """Compute rows of one or several works, of similar length, as one batch."""
        with torch_threads(self._threads):
            compute_parts(self._interaction, parts)

    @torch.inference_mode()
    def finish(self, prepared: PreparedPairs, work: RowWork[Any, Any]) -> np.ndarray:
        """(pairs) float64 logits in the order of the pairs, once all rows are computed."""
        if not prepared.index:
            return np.zeros(0)
        with torch_threads(self._threads):
            return work.logits().astype(np.float64)[prepared.index]

    def estimated_tokens(self, pairs: Sequence[QueryProductPair]) -> int:
        """About how many tokens the pairs have, from the number of their characters."""
        fields, limit = self._tokenizer.encoding.product_fields, self._longest
        return sum(
            min(limit, (len(pair.query) + len(pair.product.text(fields))) // _CHARACTERS_PER_TOKEN)
            + SPECIAL_TOKENS
            for pair in pairs
        )

    def score(
        self, pairs: Sequence[QueryProductPair], progress: Callable[[int], None] | None = None
    ) -> list[float]:
        """Scores in [0, 1], in the order of the pairs; identical pairs are scored once.

        Args:
            progress: called with the number of pairs (of texts, with two towers) that were computed.
        """
        prepared = self.prepare(pairs)
        work = self.begin(prepared)
        for rows in tight_batches(work.lengths, self.token_budget):
            self.compute([(work, rows)])
            if progress:
                progress(len(rows))
        scores: list[float] = probabilities(self.finish(prepared, work)).clip(0.0, 1.0).tolist()
        return scores

    @torch.inference_mode()
    def explain(self, pairs: Sequence[QueryProductPair]) -> list[PairExplanation]:
        """The weight that each marketplace's adapter got in each pair's score."""
        prepared = self.prepare(pairs)
        budget = self.token_budget
        with torch_threads(self._threads):
            explanations = explain(self._network, self._tokenizer, self._route, prepared.tokenized, budget)
        return [explanations[place] for place in prepared.index]
