"""A model version ready to score: network, tokenizer, manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_store.encoders.base_encoders import parse_base_encoder
from model_store.encoders.completeness import token_limit
from model_store.encoding.tokens import PairTokenizer
from model_store.network.configuration import FusionConfiguration
from model_store.network.interaction import Route
from model_store.network.relevance_network import RelevanceNetwork
from model_store.network.scoring import DEFAULT_TOKEN_BUDGET, Progress, probabilities, score_tokenized
from model_store.product import QueryProductPair
from model_store.versions.manifest import Manifest
from model_store.versions.store import ModelStore
from model_store.versions.weights import read_network


@dataclass(frozen=True, slots=True)
class LoadedVersion:
    """A verified model version in memory, in eval mode on the CPU."""

    manifest: Manifest
    network: RelevanceNetwork
    tokenizer: PairTokenizer
    route: Route

    def head_numbers(self, marketplaces: Sequence[str]) -> np.ndarray:
        """(N) number of the head that scores each marketplace.

        Raises:
            InputError: a marketplace that the version does not know, with those it does.
        """
        heads = {
            name: self.network.heads.names.index(self.manifest.marketplace(name).head)
            for name in set(marketplaces)
        }
        return np.array([heads[name] for name in marketplaces], dtype=np.int64)


def load_version(store_root: Path, version: str | int = "latest") -> LoadedVersion:
    """Verify a version's files and its base encoder, and load both.

    Raises:
        VersionNotFoundError: there is no such version.
        VersionCorruptError: a file of it is missing, truncated or changed, or the base encoder is another one.
    """
    store = ModelStore(store_root)
    number = store.resolve(version)
    store.verify(number)
    manifest = store.manifest(number)
    base = parse_base_encoder(manifest.base_encoder.source)
    base.verify(manifest.base_encoder.digest)
    encoder, tokenizer = base.load()
    network = RelevanceNetwork(
        encoder,
        manifest.pair_encoding,
        manifest.adapter,
        manifest.fusion or FusionConfiguration(),
        manifest.head,
    )
    route = read_network(network, manifest, store.path(number))
    return LoadedVersion(
        manifest, network.eval(), PairTokenizer(tokenizer, manifest.pair_encoding, token_limit(encoder)), route
    )


def score_pairs(
    loaded: LoadedVersion,
    pairs: Sequence[QueryProductPair],
    *,
    token_budget: int = DEFAULT_TOKEN_BUDGET,
    progress: Progress | None = None,
) -> np.ndarray:
    """Relevance scores of pairs by a loaded version.

    Args:
        progress: as in `score_tokenized`.

    Returns:
        (N) float32 scores in [0, 1], in the order of the pairs.

    Raises:
        InputError: a pair of a marketplace that the version does not know.
    """
    heads = loaded.head_numbers([pair.marketplace for pair in pairs])
    logits = score_tokenized(
        loaded.network,
        loaded.tokenizer,
        loaded.tokenizer.tokenize(pairs),
        loaded.route,
        heads,
        token_budget=token_budget,
        progress=progress,
    )
    return probabilities(logits)
