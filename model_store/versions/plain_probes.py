"""Plain probes: everyday queries whose one relevant product anybody would name, as an exam of every publication.

`plain_probes.tsv` holds at least 40 queries for each of English, Spanish, Japanese, German, French, Italian and
Portuguese, each with one product title that everyone would call relevant and three that nobody would. A query
is ranked right where the relevant product scores strictly above all three.

Nothing may train on these rows, nor on rows made from them: they tell a version that has unlearnt the obvious.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from model_store.encoding.tokens import PairTokenizer, TokenizedPairs
from model_store.network.interaction import PairNetwork, Route
from model_store.network.relevance_network import RelevanceNetwork
from model_store.network.scoring import score_tokenized, untrained_cosine
from model_store.product import Product, QueryProductPair
from model_store.versions.manifest import PlainProbeResult

TITLES = 4
"""Of each probe: the relevant one first."""


@dataclass(frozen=True, slots=True)
class PlainProbe:
    """A query with a product title that is relevant to it and three that are not."""

    language: str
    query: str
    relevant: str
    irrelevant: tuple[str, str, str]

    @property
    def titles(self) -> tuple[str, ...]:
        """The relevant title, then the others."""
        return (self.relevant, *self.irrelevant)


@cache
def all_plain_probes() -> Mapping[str, tuple[PlainProbe, ...]]:
    """The bundled probes by language (ISO 639-1)."""
    lines = files("model_store.versions").joinpath("plain_probes.tsv").read_text(encoding="utf-8").splitlines()
    probes: dict[str, tuple[PlainProbe, ...]] = {}
    for line in lines[1:]:
        language, query, relevant, first, second, third = line.split("\t")
        probe = PlainProbe(language, query, relevant, (first, second, third))
        probes[language] = (*probes.get(language, ()), probe)
    return probes


def plain_probes(language: str) -> tuple[PlainProbe, ...]:
    """The bundled probes of a language; none where there are none in it."""
    return all_plain_probes().get(language, ())


def plain_probes_digest(language: str) -> str:
    """sha256 of a language's probes: shares of two versions compare where it is the same."""
    rows = ("\t".join((probe.query, *probe.titles)) for probe in plain_probes(language))
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def plain_probe_results(
    network: RelevanceNetwork,
    tokenizer: PairTokenizer,
    route: Route,
    heads: Mapping[str, str],
    languages: Mapping[str, str],
) -> dict[str, PlainProbeResult]:
    """What a manifest says of the plain probes; arguments as in `plain_probe_shares`."""
    untrained = untrained_probe_shares(network, tokenizer, languages)
    return {
        name: PlainProbeResult(
            language=languages[name],
            probes=len(plain_probes(languages[name])),
            digest=plain_probes_digest(languages[name]),
            share=share,
            untrained=untrained[name],
        )
        for name, share in plain_probe_shares(network, tokenizer, route, heads, languages).items()
    }


def plain_probe_shares(
    network: PairNetwork,
    tokenizer: PairTokenizer,
    route: Route,
    heads: Mapping[str, str],
    languages: Mapping[str, str],
) -> dict[str, float]:
    """The share of its language's probes that each marketplace ranks right, from 0 to 1.

    Args:
        route: the adapters and the fusion that score.
        heads: name of the head that scores each marketplace.
        languages: ISO 639-1 code by marketplace; one whose language has no probes is left out of the answer.

    Returns:
        Shares by marketplace, in the order of `languages`.
    """

    def logits(marketplace: str, tokenized: TokenizedPairs) -> np.ndarray:
        head = np.full(len(tokenized), network.heads.names.index(heads[marketplace]), dtype=np.int64)
        return score_tokenized(network, tokenizer, tokenized, route, head)

    return _shares(tokenizer, languages, logits)


def untrained_probe_shares(
    network: RelevanceNetwork, tokenizer: PairTokenizer, languages: Mapping[str, str]
) -> dict[str, float]:
    """What the encoder's cosine ranks right without any adapter; arguments and answer as above."""
    return _shares(
        tokenizer, languages, lambda _marketplace, tokenized: untrained_cosine(network, tokenizer, tokenized)
    )


def _shares(
    tokenizer: PairTokenizer,
    languages: Mapping[str, str],
    score: Callable[[str, TokenizedPairs], np.ndarray],
) -> dict[str, float]:
    shares = {}
    for marketplace, language in languages.items():
        tokenized = _tokenized(language, marketplace, tokenizer)
        if tokenized is not None:
            shares[marketplace] = share_ranked_right(score(marketplace, tokenized))
    return shares


def share_ranked_right(scores: np.ndarray | Sequence[float]) -> float:
    """The share of probes whose relevant title scores strictly above the three others.

    Args:
        scores: (probes * 4), each probe's four titles in their order.
    """
    table = np.asarray(scores).reshape(-1, TITLES)
    return float((table[:, :1] > table[:, 1:]).all(axis=1).mean())


def _tokenized(language: str, marketplace: str, tokenizer: PairTokenizer) -> TokenizedPairs | None:
    pairs = [
        QueryProductPair(marketplace, probe.query, Product(id="", title=title))
        for probe in plain_probes(language)
        for title in probe.titles
    ]
    return tokenizer.tokenize(pairs) if pairs else None
