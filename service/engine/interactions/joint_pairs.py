"""`cross` and `late(k)`: a row is a pair, whose tokens see each other in all layers or in the last ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model_store.encoding.batch import PRODUCT_SEGMENT, QUERY_SEGMENT, JointBatch
from model_store.encoding.tokens import PairTokenizer, TokenIds, TokenizedPairs
from model_store.network.interaction import PairNetwork, Route
from service.engine.interactions.encoded_texts import EncodedTexts, TextKey, text_key
from service.engine.interactions.interaction import Interaction, RowWork, tight_batches


@dataclass(frozen=True, slots=True)
class PairRow:
    """Tokens of a query and a product, and the number of the head that scores them."""

    query: TokenIds
    product: TokenIds
    head: int


class CrossPairs(Interaction[PairRow, float]):
    """Both texts in one sequence through all layers."""

    def __init__(self, network: PairNetwork, tokenizer: PairTokenizer, route: Route) -> None:
        self.network, self.tokenizer, self.route = network, tokenizer, route

    def work(self, tokenized: TokenizedPairs, heads: np.ndarray) -> RowWork[PairRow, float]:
        """As in `Interaction`."""
        rows = [PairRow(*tokenized.texts(row), head) for row, head in enumerate(heads.tolist())]
        return RowWork(rows, tokenized.lengths(), _as_logits)

    def compute(self, rows: Sequence[PairRow]) -> list[float]:
        """As in `Interaction`."""
        joint = self.tokenizer.joint_texts([(row.query, row.product) for row in rows])
        batch = JointBatch(_heads(rows), joint).to(self.network.device)
        return _floats(self.network(batch, self.route))


class LatePairs(CrossPairs):
    """Each text alone through the lower layers, once for all pairs it is in; the pair through the last k."""

    def __init__(
        self,
        network: PairNetwork,
        tokenizer: PairTokenizer,
        route: Route,
        known: EncodedTexts,
        token_budget: int,
    ) -> None:
        super().__init__(network, tokenizer, route)
        self._known = known
        self._token_budget = token_budget
        self._lower = network.depth - network.pair_encoding.joint_layers

    def compute(self, rows: Sequence[PairRow]) -> list[float]:
        """As in `Interaction`."""
        keys = [(text_key(row.query), text_key(row.product)) for row in rows]
        texts: dict[TextKey, TokenIds] = {}
        for (query, product), row in zip(keys, rows, strict=True):
            texts.setdefault(query, row.query)
            texts.setdefault(product, row.product)
        states = self._states(texts)
        places = {key: place for place, key in enumerate(texts)}
        queries = np.array([places[query] for query, _ in keys])
        products = np.array([places[product] for _, product in keys])
        hidden, mask, segments = _joined([states[key] for key in texts], queries, products)
        padded = not bool(mask.all())
        network = self.network
        hidden = network.run_layers(hidden, mask, padded, self.route, None, first=self._lower)
        features = network.joint_features(hidden, mask, segments, self.route)
        return _floats(network.heads(features, _heads(rows).to(features.device)))

    def _states(self, texts: dict[TextKey, TokenIds]) -> dict[TextKey, Tensor]:
        states = {key: self._known.find(key) for key in texts}
        missing = [key for key, found in states.items() if found is None]
        lengths = np.array([len(texts[key]) for key in missing], dtype=np.int64)
        for rows in tight_batches(lengths, self._token_budget) if missing else []:
            batch = self.tokenizer.single_texts([texts[missing[row]] for row in rows], QUERY_SEGMENT)
            batch = batch.to(self.network.device)
            encoded = self.network.encode_texts(batch, self.route, layers=self._lower)
            for row, hidden, length in zip(rows, encoded, batch.mask.sum(1).tolist(), strict=True):
                states[missing[row]] = hidden[:length]
                self._known.keep(missing[row], hidden[:length])
        return {key: found for key, found in states.items() if found is not None}


def _joined(states: Sequence[Tensor], queries: np.ndarray, products: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
    """Query and product states of every pair behind one another: hidden, mask and segments."""
    lengths = np.array([len(state) for state in states])
    starts = np.cumsum(lengths) - lengths
    first, both = lengths[queries][:, None], (lengths[queries] + lengths[products])[:, None]
    place = np.arange(int(both.max()))[None, :]
    mask, of_query = place < both, place < first
    source = np.where(of_query, starts[queries][:, None] + place, starts[products][:, None] + place - first)
    segments = np.where(of_query, QUERY_SEGMENT, PRODUCT_SEGMENT) * mask
    device = states[0].device
    hidden = torch.cat(list(states))[torch.from_numpy(np.where(mask, source, 0)).to(device)]
    return hidden, torch.from_numpy(mask).to(device), torch.from_numpy(segments).to(device)


def _heads(rows: Sequence[PairRow]) -> Tensor:
    return torch.tensor([row.head for row in rows], dtype=torch.int64)


def _floats(logits: Tensor) -> list[float]:
    values: list[float] = logits.float().cpu().tolist()
    return values


def _as_logits(results: Sequence[float]) -> np.ndarray:
    return np.array(results, dtype=np.float32)
