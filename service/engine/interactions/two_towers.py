"""`two_tower`: a row is a distinct text that is not known yet; a pair then costs one small product of vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from model_store.encoding.batch import QUERY_SEGMENT
from model_store.encoding.tokens import PairTokenizer, TokenIds, TokenizedPairs
from model_store.network.interaction import PairNetwork, Route
from model_store.network.scoring import logits_of_encoded
from service.engine.interactions.encoded_texts import EncodedTexts, TextKey, text_key
from service.engine.interactions.interaction import Interaction, RowWork


class TwoTowers(Interaction[TokenIds, Tensor]):
    """Queries and products share batches: below the head nothing tells them apart but their prefix."""

    def __init__(self, network: PairNetwork, tokenizer: PairTokenizer, route: Route, known: EncodedTexts) -> None:
        self._network, self._tokenizer, self._route = network, tokenizer, route
        self._known = known

    def work(self, tokenized: TokenizedPairs, heads: np.ndarray) -> RowWork[TokenIds, Tensor]:
        """As in `Interaction`."""
        texts = [*tokenized.queries, *tokenized.products]
        known = [self._known.find(text_key(ids)) for ids in texts]
        missing = [place for place, vector in enumerate(known) if vector is None]

        def finish(results: Sequence[Tensor]) -> np.ndarray:
            for place, vector in zip(missing, results, strict=True):
                known[place] = vector
            vectors = torch.stack([vector for vector in known if vector is not None])
            queries, products = vectors[: len(tokenized.queries)], vectors[len(tokenized.queries) :]
            return logits_of_encoded(self._network, tokenized, queries, products, heads)

        rows = [texts[place] for place in missing]
        return RowWork(rows, np.array([len(ids) for ids in rows], dtype=np.int64), finish)

    def compute(self, rows: Sequence[TokenIds]) -> list[Tensor]:
        """As in `Interaction`; a text that several calls wait for is encoded once."""
        distinct: dict[TextKey, int] = {}
        keys = [text_key(ids) for ids in rows]
        texts = [ids for key, ids in zip(keys, rows, strict=True) if _is_new(distinct, key)]
        batch = self._tokenizer.single_texts(texts, QUERY_SEGMENT).to(self._network.device)
        vectors = list(self._network.text_means(batch, self._route).float())
        for key, place in distinct.items():
            self._known.keep(key, vectors[place])
        return [vectors[distinct[key]] for key in keys]


def _is_new(seen: dict[TextKey, int], key: TextKey) -> bool:
    new = key not in seen
    seen.setdefault(key, len(seen))
    return new
