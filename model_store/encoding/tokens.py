"""From texts to token batches: the one place in which a query and a product become tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from model_store.encoding.batch import (
    PRODUCT_SEGMENT,
    QUERY_SEGMENT,
    JointBatch,
    PairBatch,
    TextBatch,
    TwoTowerBatch,
)
from model_store.encoding.configuration import PairEncoding
from model_store.errors import ConfigurationError
from model_store.product import QueryProductPair

_CHARACTERS_PER_TOKEN = 32
"""Characters beyond the token limit times this are not even looked at: it bounds the cost of a huge text."""

TokenIds = list[int]


@dataclass(frozen=True, slots=True)
class TokenizedPairs:
    """N pairs over distinct texts. Token ids carry no special tokens."""

    queries: list[TokenIds]
    products: list[TokenIds]
    query_index: np.ndarray  # (N) int64
    product_index: np.ndarray  # (N) int64
    query_truncated: np.ndarray  # (N) bool, True where the query lost tokens
    product_truncated: np.ndarray  # (N) bool, True where the product lost tokens

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.query_index)

    def texts(self, row: int) -> tuple[TokenIds, TokenIds]:
        """Query and product of one pair."""
        return self.queries[self.query_index[row]], self.products[self.product_index[row]]

    def lengths(self) -> np.ndarray:
        """(N) int64: tokens of query and product together, special tokens not counted."""
        query_lengths = np.array([len(ids) for ids in self.queries], dtype=np.int64)
        product_lengths = np.array([len(ids) for ids in self.products], dtype=np.int64)
        lengths: np.ndarray = query_lengths[self.query_index] + product_lengths[self.product_index]
        return lengths


class PairTokenizer:
    """Tokenizes pairs and lays them out for the network, as the pair encoding says.

    Truncation is by tokens: a product keeps its first `max_product_tokens`, a query its first
    `max_query_tokens`. So a long product never costs the query a token.

    Args:
        token_limit: how many tokens fit into one sequence of the encoder, special ones included.

    Raises:
        ConfigurationError: the encoding asks for longer sequences than that.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, encoding: PairEncoding, token_limit: int | None = None
    ) -> None:
        self.encoding = encoding
        self._tokenizer = tokenizer
        self._pad = int(tokenizer.pad_token_id)
        self._pair_template = _template(tokenizer, "a", "b")
        self._single_template = _template(tokenizer, "a", None)
        self._second_token_type = _second_token_type(tokenizer)
        if token_limit is not None:
            self._check_length(token_limit)

    def _check_length(self, token_limit: int) -> None:
        encoding = self.encoding
        needed = max(encoding.max_query_tokens, encoding.max_product_tokens) + self.single_specials
        if encoding.kind == "cross":
            specials = sum(len(ids) for ids in self._pair_template)
            needed = encoding.max_query_tokens + encoding.max_product_tokens + specials
        if needed > token_limit:
            raise ConfigurationError(
                f"pair_encoding.max_query_tokens {encoding.max_query_tokens} and max_product_tokens "
                f"{encoding.max_product_tokens} make sequences of up to {needed} tokens with "
                f"{encoding.interaction!r}; the encoder holds {token_limit}: lower one of the two"
            )

    @property
    def special_ids(self) -> TokenIds:
        """Padding and all special tokens that a batch can hold."""
        return [
            self._pad,
            *(token for part in (*self._pair_template, *self._single_template) for token in part),
        ]

    @property
    def vocabulary(self) -> dict[int, str]:
        """Tokens that are not special, as the tokenizer writes them, by their numbers in order.

        The frequent ones come first, more or less.
        """
        special = set(self._tokenizer.all_special_ids) | set(self._tokenizer.added_tokens_decoder)
        numbers = sorted((number, token) for token, number in self._tokenizer.get_vocab().items())
        return {number: token for number, token in numbers if number not in special}

    def token_ids(self, text: str) -> TokenIds:
        """A text's tokens, without special ones and without any limit."""
        return list(self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    @property
    def single_specials(self) -> int:
        """Number of special tokens around a text on its own."""
        return len(self._single_template[0]) + len(self._single_template[-1])

    def tokenize(self, pairs: Sequence[QueryProductPair]) -> TokenizedPairs:
        """Tokenize every distinct query and product text of the pairs once."""
        encoding = self.encoding
        query_rows: dict[str, int] = {}
        product_rows: dict[str, int] = {}
        query_index = [query_rows.setdefault(pair.query, len(query_rows)) for pair in pairs]
        product_index = [
            product_rows.setdefault(pair.product.text(encoding.product_fields), len(product_rows))
            for pair in pairs
        ]
        queries, query_cut = self._ids(list(query_rows), encoding.query_prefix, encoding.max_query_tokens)
        products, product_cut = self._ids(
            list(product_rows), encoding.product_prefix, encoding.max_product_tokens
        )
        query_positions = np.array(query_index, dtype=np.int64)
        product_positions = np.array(product_index, dtype=np.int64)
        return TokenizedPairs(
            queries,
            products,
            query_positions,
            product_positions,
            query_cut[query_positions],
            product_cut[product_positions],
        )

    def _ids(self, texts: list[str], prefix: str, limit: int) -> tuple[list[TokenIds], np.ndarray]:
        if not texts:
            return [], np.zeros(0, dtype=bool)
        shortened = [prefix + " ".join(text.split())[: limit * _CHARACTERS_PER_TOKEN] for text in texts]
        encoded = self._tokenizer(
            shortened,
            add_special_tokens=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )["input_ids"]
        cut = np.array([len(ids) > limit for ids in encoded], dtype=bool)
        return [ids[:limit] for ids in encoded], cut

    def batch(
        self, tokenized: TokenizedPairs, rows: Sequence[int] | np.ndarray, head_index: Sequence[int]
    ) -> PairBatch:
        """Lay out the pairs at `rows` as the encoding says; `head_index` has one entry for each of them."""
        if self.encoding.kind == "cross":
            return self.joint_batch(tokenized, rows, head_index)
        return self.two_tower_batch(tokenized, rows, head_index)

    def joint_batch(
        self, tokenized: TokenizedPairs, rows: Sequence[int] | np.ndarray, head_index: Sequence[int]
    ) -> JointBatch:
        """The pairs at `rows`, each one sequence of both its texts."""
        return JointBatch(_heads(head_index), self.joint_texts([tokenized.texts(row) for row in rows]))

    def two_tower_batch(
        self, tokenized: TokenizedPairs, rows: Sequence[int] | np.ndarray, head_index: Sequence[int]
    ) -> TwoTowerBatch:
        """The pairs at `rows` over their distinct queries and products, each on its own."""
        query_ids, query_index = distinct(tokenized.query_index, rows)
        product_ids, product_index = distinct(tokenized.product_index, rows)
        return TwoTowerBatch(
            _heads(head_index),
            queries=self.single_texts([tokenized.queries[i] for i in query_ids], QUERY_SEGMENT),
            products=self.single_texts([tokenized.products[i] for i in product_ids], PRODUCT_SEGMENT),
            query_index=query_index,
            product_index=product_index,
        )

    def single_texts(self, texts: Sequence[TokenIds], segment: int) -> TextBatch:
        """Texts on their own, with the tokenizer's special tokens around each.

        All tokens, special ones too, belong to the segment: the untrained encoder's mean takes them in.
        """
        start, end = self._single_template[0], self._single_template[-1]
        return self._padded(
            [[*start, *ids, *end] for ids in texts],
            [[0] * (len(start) + len(ids) + len(end)) for ids in texts],
            [[segment] * (len(start) + len(ids) + len(end)) for ids in texts],
        )

    def joint_texts(self, texts: Sequence[tuple[TokenIds, TokenIds]]) -> TextBatch:
        """Query and product of each pair in one sequence, with the tokenizer's special tokens."""
        start, middle, end = self._pair_template
        ids, types, segments = [], [], []
        for query, product in texts:
            first_length = len(start) + len(query) + self._first_specials
            ids.append([*start, *query, *middle, *product, *end])
            types.append([0] * first_length + [self._second_token_type] * (len(ids[-1]) - first_length))
            segments.append(
                [0] * len(start)
                + [QUERY_SEGMENT] * len(query)
                + [0] * len(middle)
                + [PRODUCT_SEGMENT] * len(product)
                + [0] * len(end)
            )
        return self._padded(ids, types, segments)

    @property
    def _first_specials(self) -> int:
        # of the special tokens between the two texts, the first closes the query
        return min(1, len(self._pair_template[1]))

    def _padded(self, ids: list[TokenIds], types: list[list[int]], segments: list[list[int]]) -> TextBatch:
        lengths = np.array([len(row) for row in ids], dtype=np.int64)
        width = int(lengths.max())
        mask = np.arange(width)[None, :] < lengths[:, None]
        return TextBatch(
            _filled(ids, mask, self._pad),
            _filled(types, mask, 0),
            torch.from_numpy(mask),
            _filled(segments, mask, 0),
            bool((lengths != width).any()),
        )


def _heads(head_index: Sequence[int]) -> torch.Tensor:
    return torch.tensor(list(head_index), dtype=torch.int64)


def _filled(rows: list[list[int]], mask: np.ndarray, padding: int) -> torch.Tensor:
    table = np.full(mask.shape, padding, dtype=np.int64)
    table[mask] = np.fromiter((value for row in rows for value in row), dtype=np.int64)
    return torch.from_numpy(table)


def distinct(index: np.ndarray, rows: Sequence[int] | np.ndarray) -> tuple[list[int], torch.Tensor]:
    """The distinct values of `index` at `rows`, in order of length of first use, and each row's place in it."""
    places: dict[int, int] = {}
    positions = [places.setdefault(int(index[row]), len(places)) for row in rows]
    return list(places), torch.tensor(positions, dtype=torch.int64)


def _template(
    tokenizer: PreTrainedTokenizerBase, first: str, second: str | None
) -> tuple[TokenIds, TokenIds, TokenIds]:
    """The special tokens before, between and after the texts, read off the tokenizer itself."""
    encoded = tokenizer(first, second, verbose=False)
    sequence_ids = encoded.sequence_ids(0)
    parts: tuple[TokenIds, TokenIds, TokenIds] = ([], [], [])
    last_text = 0 if second is None else 1
    place = 0
    for token, sequence in zip(encoded["input_ids"], sequence_ids, strict=True):
        if sequence is not None:
            place = 2 if sequence == last_text else 1
        else:
            parts[place].append(int(token))
    return parts


def _second_token_type(tokenizer: PreTrainedTokenizerBase) -> int:
    encoded = tokenizer("a", "b", return_token_type_ids=True, verbose=False)
    return int(max(encoded["token_type_ids"]))
