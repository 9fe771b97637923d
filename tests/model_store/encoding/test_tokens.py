from __future__ import annotations

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from model_store.encoding.batch import PRODUCT_SEGMENT, QUERY_SEGMENT, TwoTowerBatch
from model_store.encoding.configuration import PairEncoding
from model_store.encoding.tokens import PairTokenizer
from model_store.errors import ConfigurationError
from model_store.product import Product, QueryProductPair


def pair(query: str, title: str, **fields: str) -> QueryProductPair:
    return QueryProductPair("us", query, Product("p", title, **fields))


def tokenizer(folder: Path, token_limit: int | None = None, **encoding: object) -> PairTokenizer:
    return PairTokenizer(
        PreTrainedTokenizerFast.from_pretrained(folder),
        PairEncoding.model_validate({"interaction": "cross", **encoding}),
        token_limit,
    )


def test_cross_is_laid_out_as_the_tokenizer_itself_lays_out_a_pair(tiny_encoder_folder: Path) -> None:
    ours = tokenizer(tiny_encoder_folder)
    tokenized = ours.tokenize([pair("red shoe", "big red shoe 42"), pair("hat", "hat")])
    joint = ours.joint_batch(tokenized, [0, 1], [0, 0]).texts
    expected = PreTrainedTokenizerFast.from_pretrained(tiny_encoder_folder)(
        ["red shoe", "hat"],
        ["big red shoe 42", "hat"],
        padding=True,
        return_tensors="pt",
        return_token_type_ids=True,
    )
    assert joint.token_ids.tolist() == expected["input_ids"].tolist()
    assert joint.token_types.tolist() == expected["token_type_ids"].tolist()
    assert joint.mask.long().tolist() == expected["attention_mask"].tolist()
    assert joint.padded


def test_segments_tell_query_tokens_from_product_tokens(tiny_encoder_folder: Path) -> None:
    ours = tokenizer(tiny_encoder_folder)
    joint = ours.joint_batch(ours.tokenize([pair("ab", "cde")]), [0], [0]).texts
    assert joint.segments[0].tolist() == [0, *[QUERY_SEGMENT] * 2, 0, *[PRODUCT_SEGMENT] * 3, 0]


def test_towers_hold_every_distinct_text_once(tiny_encoder_folder: Path) -> None:
    ours = tokenizer(tiny_encoder_folder, interaction="two_tower")
    pairs = [pair("ab", "x"), pair("ab", "y"), pair("c", "x"), pair("c", "z")]
    batch = ours.batch(ours.tokenize(pairs), [0, 1, 2], [0, 0, 0])
    assert isinstance(batch, TwoTowerBatch)
    assert len(batch.queries.token_ids) == 2
    assert len(batch.products.token_ids) == 2
    assert batch.query_index.tolist() == [0, 0, 1]
    assert batch.product_index.tolist() == [0, 1, 0]


def test_product_fields_are_joined_in_the_configured_order(tiny_encoder_folder: Path) -> None:
    with_brand = tokenizer(tiny_encoder_folder, product_fields=["brand", "title", "color"])
    plain = tokenizer(tiny_encoder_folder)
    branded = with_brand.tokenize([pair("a", "shoe", brand="acme")])
    assert branded.products == plain.tokenize([pair("a", "acme shoe")]).products


def test_truncation_is_by_tokens_and_is_told(tiny_encoder_folder: Path) -> None:
    ours = tokenizer(tiny_encoder_folder, max_product_tokens=5)
    tokenized = ours.tokenize([pair("a", "abcdefghij"), pair("a", "abc")])
    assert [len(ids) for ids in tokenized.products] == [5, 3]
    assert tokenized.product_truncated.tolist() == [True, False]
    assert not tokenized.query_truncated.any()


def test_a_hundred_thousand_characters_are_cut_to_the_token_limit(tiny_encoder_folder: Path) -> None:
    ours = tokenizer(tiny_encoder_folder)
    tokenized = ours.tokenize([pair("a", "word " * 20_000)])
    assert len(tokenized.products[0]) == 96
    assert tokenized.product_truncated.tolist() == [True]


def test_limits_that_do_not_fit_the_encoder_are_refused(tiny_encoder_folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"up to 259 tokens with 'cross'; the encoder holds 256"):
        tokenizer(tiny_encoder_folder, 256, max_product_tokens=224)
