"""Anchors: texts that nobody judged, on which the network keeps to the ranking of the untrained encoder.

A few hundred rows of one catalogue teach an adapter more than they say: it also moves texts that are nothing like
them, and the head with it. An anchor is a product made of tokens that are drawn from the encoder's vocabulary,
mixed with some of the marketplace's own, and a query made of some of the product's tokens: no data are needed.
Distilling a network's function on unlabelled input is learning without forgetting (Li and Hoiem 2016), with the
pretrained encoder as the older task.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model_store.encoding.tokens import PairTokenizer, TokenIds, TokenizedPairs
from model_store.network.interaction import PairNetwork, Route
from training.stages.environment import TrainingEnvironment
from training.stages.labelled_tokens import Batch, LabelledTokens, frozen_rows, micro_batches, zero_shot_cosine

PRODUCTS_PER_QUERY = 3
"""The product that the query was drawn from, and its neighbours in the list."""

_PRODUCT_TOKENS = (6, 48)
_QUERY_TOKENS = (1, 6)
_LARGEST_OWN_SHARE = 0.6
_OTHER_TOKEN_IN_QUERY = 0.3
# Vocabularies are in the order of frequency, more or less; real texts are more uneven than this.
_ZIPF = 0.6
_ZIPF_OFFSET = 10
_NO_SCRIPT = "NONE"


@dataclass(frozen=True, slots=True)
class Anchors:
    """Pairs of drawn texts with the untrained encoder's cosine.

    Args:
        rows: `PRODUCTS_PER_QUERY` pairs a query, one query after another. Their labels mean nothing.
        cosine: (pairs) float32.
        queries: how many of them an optimiser step sees.
    """

    rows: LabelledTokens
    cosine: np.ndarray
    weight: float
    queries: int

    @classmethod
    def of(
        cls, environment: TrainingEnvironment, marketplace: str, train: LabelledTokens, dropout: bool
    ) -> Anchors | None:
        """Draw a marketplace's anchors; None where the configuration asks for none.

        Args:
            dropout: whether a stage that reads them lets the encoder's dropout act.
        """
        configuration = environment.configuration
        if configuration.anchors.weight == 0:
            return None
        network, tokenizer = environment.network, environment.tokenizer
        tokenized = draw_anchors(train.tokenized, tokenizer, configuration.anchors.drawn, configuration.seed)
        rows = LabelledTokens(tokenized, np.zeros(len(tokenized), dtype=np.float32), tokenized.lengths())
        [rows] = frozen_rows(environment, f"{marketplace} anchors", rows, dropout=dropout)
        with environment.accelerator.autocast():
            cosine = zero_shot_cosine(network, tokenizer, rows)
        return cls(rows, cosine, configuration.anchors.weight, configuration.anchors.queries)

    def losses(
        self,
        environment: TrainingEnvironment[PairNetwork],
        batch: Batch,
        route: Route,
        head: int,
        seed: int,
    ) -> Iterator[tuple[Tensor, dict[str, float]]]:
        """The loss of one optimiser step, on anchors that follow from the seed and the step's rows."""
        generator = np.random.default_rng([seed, *batch.rows.tolist()])
        known = len(self.rows) // PRODUCTS_PER_QUERY
        # Neighbours share their products: ten texts for eight queries, where any eight would have twenty-four.
        chosen = (generator.integers(known) + np.arange(min(self.queries, known))) % known
        rows = (chosen[:, None] * PRODUCTS_PER_QUERY + np.arange(PRODUCTS_PER_QUERY)).ravel()
        device, budget = environment.device, environment.configuration.token_budget
        logits, cosine = [], []
        batches = self.rows.micro_batches(rows, environment.tokenizer, head, budget, device)
        for part, (tokens, _) in zip(micro_batches(rows, self.rows.lengths, budget), batches, strict=True):
            with environment.accelerator.autocast():
                logits.append(environment.network(tokens, route).float())
            cosine.append(torch.from_numpy(self.cosine[part]).to(device))
        loss = distance_from_affine(torch.cat(logits), torch.cat(cosine))
        yield self.weight * loss, {"anchors": float(loss.detach())}


def distance_from_affine(logits: Tensor, cosine: Tensor) -> Tensor:
    """Mean squared distance of logits (pairs) from their best fit scale * cosine + bias, scale at least 0.

    Scale and bias are free, since what a score means is the judgements' matter; the order of the pairs is not.
    """
    centred, reference = logits - logits.mean(), cosine - cosine.mean()
    scale = (centred @ reference / (reference @ reference).clamp_min(1e-9)).clamp_min(0.0).detach()
    return (centred - scale * reference).square().mean()


def draw_anchors(train: TokenizedPairs, tokenizer: PairTokenizer, queries: int, seed: int) -> TokenizedPairs:
    """Draw anchor pairs; equal arguments give equal ones.

    Args:
        train: pairs of the marketplace, whose products' tokens are some of the drawn ones.
    """
    generator = np.random.default_rng([seed, queries])
    own = np.array([token for ids in train.products for token in ids], dtype=np.int64)
    vocabulary, cumulated = _weighed_vocabulary(tokenizer, own)

    def common(count: int) -> np.ndarray:
        places = np.searchsorted(cumulated, generator.random(count))
        return vocabulary[np.minimum(places, len(vocabulary) - 1)]

    encoding = tokenizer.encoding
    query_prefix, product_prefix = (
        tokenizer.token_ids(prefix) for prefix in (encoding.query_prefix, encoding.product_prefix)
    )
    drawn_queries: list[TokenIds] = []
    drawn_products: list[TokenIds] = []
    for _ in range(queries):
        product = common(int(generator.integers(*_PRODUCT_TOKENS, endpoint=True)))
        from_own = generator.random(len(product)) < generator.random() * _LARGEST_OWN_SHARE
        product[from_own] = generator.choice(own, int(from_own.sum()))
        count = min(len(product), int(generator.integers(*_QUERY_TOKENS, endpoint=True)))
        query = generator.choice(product, count, replace=False)
        if generator.random() < _OTHER_TOKEN_IN_QUERY:
            query[generator.integers(count)] = common(1)[0]
        drawn_queries.append([*query_prefix, *query.tolist()][: encoding.max_query_tokens])
        drawn_products.append([*product_prefix, *product.tolist()][: encoding.max_product_tokens])
    query_index = np.repeat(np.arange(queries), PRODUCTS_PER_QUERY)
    product_index = (query_index + np.tile(np.arange(PRODUCTS_PER_QUERY), queries)) % queries
    uncut = np.zeros(len(query_index), dtype=bool)
    return TokenizedPairs(drawn_queries, drawn_products, query_index, product_index, uncut, uncut)


def _weighed_vocabulary(tokenizer: PairTokenizer, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All tokens (vocabulary) and their cumulated probabilities.

    Frequent ones are more likely, and each writing system is as likely as among the marketplace's own tokens:
    a Japanese marketplace would seldom see a Japanese anchor otherwise.
    """
    texts = tokenizer.vocabulary
    vocabulary = np.array(list(texts), dtype=np.int64)
    scripts = {number: _script(text) for number, text in texts.items()}
    counts = Counter(scripts.get(int(token), _NO_SCRIPT) for token in own)
    shares = np.array([counts[scripts[number]] / len(own) for number in texts])
    frequency = 1.0 / (np.arange(len(vocabulary)) + _ZIPF_OFFSET) ** _ZIPF
    totals: defaultdict[str, float] = defaultdict(float)
    for number, weight in zip(texts, frequency.tolist(), strict=True):
        totals[scripts[number]] += weight
    weights = shares * frequency / np.array([totals[scripts[number]] for number in texts])
    return vocabulary, np.cumsum(weights / weights.sum())


def _script(text: str) -> str:
    """The writing system of a token's first letter, by the first word of its Unicode name."""
    letter = next((character for character in text if character.isalpha()), "")
    return unicodedata.name(letter, _NO_SCRIPT).split()[0] if letter else _NO_SCRIPT
