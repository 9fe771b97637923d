"""Scores pairs with one model version, folded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from model_store.errors import ConfigurationError
from model_store.loading import load_version
from model_store.pair_batch import PRODUCT_SEGMENT, QUERY_SEGMENT
from model_store.pair_tokens import TokenIds, TokenizedPairs
from model_store.product import QueryProductPair
from model_store.scoring import (
    DEFAULT_TOKEN_BUDGET,
    encoded_texts,
    logits_of_encoded,
    probabilities,
    score_tokenized,
)
from service.engine.encoded_texts import EncodedTextFigures, EncodedTexts
from service.engine.folded_network import FoldedNetwork

if TYPE_CHECKING:
    from model_store.loading import LoadedVersion


DEFAULT_ENCODED_TEXT_BYTES = 256 * 1024 * 1024


class Scorer:
    """A model version, folded, on a device. Not safe for use by several threads at once."""

    def __init__(
        self,
        loaded: LoadedVersion,
        *,
        token_budget: int = DEFAULT_TOKEN_BUDGET,
        encoded_text_bytes: int = DEFAULT_ENCODED_TEXT_BYTES,
    ) -> None:
        manifest = loaded.manifest
        self.manifest = manifest
        self._tokenizer, self._route = loaded.tokenizer, loaded.route
        self._token_budget = token_budget
        self._encoded_texts = EncodedTexts(encoded_text_bytes)
        self._network = FoldedNetwork(loaded.network, loaded.route)
        self._heads = dict(zip(manifest.names, loaded.head_numbers(manifest.names).tolist(), strict=True))
        self._thresholds = {name: manifest.threshold(name) for name in manifest.names}

    @classmethod
    def load(
        cls,
        store: Path,
        version: str = "latest",
        device: str = "auto",
        token_budget: int = DEFAULT_TOKEN_BUDGET,
        encoded_text_bytes: int = DEFAULT_ENCODED_TEXT_BYTES,
    ) -> Scorer:
        """Load and verify a version.

        Raises:
            VersionNotFoundError: there is no such version.
            VersionCorruptError: its files are not what was published.
            ConfigurationError: there is no such device.
        """
        target = checked_device(device)
        loaded = load_version(store, version)
        loaded.network.to(target)
        return cls(loaded, token_budget=token_budget, encoded_text_bytes=encoded_text_bytes)

    @property
    def encoded_text_figures(self) -> EncodedTextFigures:
        """Hits, misses and size of the cache of encoded texts (two towers only)."""
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

    def score(
        self, pairs: Sequence[QueryProductPair], progress: Callable[[int], None] | None = None
    ) -> list[float]:
        """Scores in [0, 1], in the order of the pairs; identical pairs are scored once."""
        places: dict[QueryProductPair, int] = {}
        index = [places.setdefault(pair, len(places)) for pair in pairs]
        if not places:
            return []
        tokenized = self._tokenizer.tokenize(list(places))
        heads = np.array([self._heads[pair.marketplace] for pair in places], dtype=np.int64)
        logits = self._logits(tokenized, heads, progress)
        distinct: list[float] = probabilities(logits).astype(np.float64).clip(0.0, 1.0).tolist()
        return [distinct[place] for place in index]

    def _logits(
        self, tokenized: TokenizedPairs, heads: np.ndarray, progress: Callable[[int], None] | None
    ) -> np.ndarray:
        if self._network.pair_encoding.kind != "two_tower":
            return score_tokenized(
                self._network,
                self._tokenizer,
                tokenized,
                self._route,
                heads,
                token_budget=self._token_budget,
                progress=progress,
            )
        with torch.inference_mode():
            queries = self._encoded(tokenized.queries, QUERY_SEGMENT, progress)
            products = self._encoded(tokenized.products, PRODUCT_SEGMENT, progress)
            return logits_of_encoded(self._network, tokenized, queries, products, heads)

    def _encoded(self, texts: list[TokenIds], segment: int, progress: Callable[[int], None] | None) -> Tensor:
        def encode(missing: list[TokenIds]) -> Tensor:
            return encoded_texts(
                self._network, self._tokenizer, missing, segment, self._route, self._token_budget, progress
            )

        return self._encoded_texts.vectors(texts, segment, encode)


def checked_device(name: str) -> torch.device:
    """The device of a setting; `auto` is a GPU where there is one.

    Raises:
        ConfigurationError: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigurationError(
            f"setting DEVICE: there is no {name} (GPUs found: {torch.cuda.device_count()}); use auto or cpu"
        )
    return device
