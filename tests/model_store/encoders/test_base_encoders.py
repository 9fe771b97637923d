from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from model_store.encoders.base_encoders import parse_base_encoder
from model_store.errors import ConfigurationError

TEXT = "red café shoes [MASK]"


@pytest.fixture
def folder(tiny_encoder_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_encoder_folder, tmp_path / "encoder"))


def tensors(encoder: PreTrainedModel) -> dict[str, torch.Tensor]:
    return dict(encoder.state_dict())


def edit(path: Path, **fields: object) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, **fields}), encoding="utf-8")


def rename(folder: Path, prefix: str) -> None:
    found = load_file(folder / "model.safetensors")
    renamed = {f"{prefix}{name}": tensor for name, tensor in found.items()}
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})


def test_what_is_loaded_is_what_lies_in_the_folder(folder: Path) -> None:
    encoder, tokenizer = parse_base_encoder(f"folder:{folder}").load()
    expected = load_file(folder / "model.safetensors")
    found = tensors(encoder)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert not encoder.training
    assert encoder.config.hidden_size == 32
    whole = PreTrainedTokenizerFast.from_pretrained(folder)
    assert tokenizer(TEXT, TEXT) == whole(TEXT, TEXT)
    assert tokenizer.special_tokens_map == whole.special_tokens_map


def test_weights_in_parts_and_of_a_model_with_a_head_are_found(folder: Path) -> None:
    expected = tensors(parse_base_encoder(str(folder)).load()[0])
    rename(folder, "bert.")
    assert tensors(parse_base_encoder(str(folder)).load()[0]).keys() == expected.keys()
    whole = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(whole)
    parts = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for part, chosen in parts.items():
        save_file({name: whole[name] for name in chosen}, folder / part, metadata={"format": "pt"})
    places = {name: part for part, chosen in parts.items() for name in chosen}
    index = {"metadata": {"total_size": 1, "total_parameters": "many"}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    found = tensors(parse_base_encoder(str(folder)).load()[0])
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "0.auto_model."])
def test_weights_under_other_names_are_not_replaced_by_random_ones(folder: Path, prefix: str) -> None:
    rename(folder, prefix)
    told = rf"not in its files: embeddings\.LayerNorm\.bias, .* and 33 more; .* lose the prefix '{prefix}'"
    with pytest.raises(ConfigurationError, match=told):
        parse_base_encoder(str(folder)).load()


def test_a_vocabulary_alone_gives_the_family_s_tokenizer(folder: Path) -> None:
    _, whole = parse_base_encoder(str(folder)).load()
    vocabulary = sorted(whole.get_vocab().items(), key=lambda item: item[1])
    for path in folder.glob("*token*"):
        path.unlink()
    (folder / "vocab.txt").write_text("\n".join(token for token, _ in vocabulary), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true, "strip_accents": false}')
    _, tokenizer = parse_base_encoder(str(folder)).load()
    assert tokenizer("red café shoes", "á")["input_ids"] == whole("red café shoes", "á")["input_ids"]
    assert tokenizer.pad_token_id == whole.pad_token_id


def test_a_tokenizer_of_another_class_is_what_its_file_says(folder: Path) -> None:
    _, expected = parse_base_encoder(str(folder)).load()
    edit(folder / "tokenizer_config.json", tokenizer_class="MPNetTokenizer")
    _, found = parse_base_encoder(str(folder)).load()
    assert found(TEXT, TEXT) == expected(TEXT, TEXT)


def test_a_tokenizer_without_a_fast_form_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").rename(folder / "vocab.txt")
    edit(folder / "tokenizer_config.json", tokenizer_class="BertJapaneseTokenizer")
    with pytest.raises(ConfigurationError, match=r"BertJapaneseTokenizer has no fast form.*no tokenizer\.json"):
        parse_base_encoder(str(folder)).load()


def test_a_folder_without_a_tokenizer_is_refused(folder: Path) -> None:
    for path in folder.glob("*token*"):
        path.unlink()
    with pytest.raises(ConfigurationError, match="has no tokenizer"):
        parse_base_encoder(str(folder)).load()


@pytest.mark.parametrize("content", [b"version https://git-lfs.github.com/spec/v1\n", b"", b"\x00" * 99])
def test_weights_that_are_none_are_refused(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"model\.safetensors is no whole safetensors file"):
        parse_base_encoder(str(folder)).load()


def test_weights_that_are_cut_off_are_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ConfigurationError, match=r"model\.safetensors is no whole safetensors file"):
        parse_base_encoder(str(folder)).load()


@pytest.mark.parametrize("content", ["{", "{}", '{"model": {"type": "Evil"}}', "[]"])
def test_a_tokenizer_that_is_none_is_refused(folder: Path, content: str) -> None:
    (folder / "tokenizer.json").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="tokenizer cannot be read"):
        parse_base_encoder(str(folder)).load()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"model_type": "deberta-v2"}, r"'deberta-v2' is not supported; use one of bert, roberta, xlm-roberta"),
        ({"hidden_size": "32"}, r"config\.json: hidden_size: Input should be a valid integer"),
        ({"num_hidden_layers": 0}, r"config\.json: num_hidden_layers: Input should be greater than"),
        ({"position_embedding_type": "relative_key"}, r"config\.json: position_embedding_type: .*'absolute'"),
        ({"hidden_act": "evil"}, r"config\.json: hidden_act: Input should be 'gelu'"),
        ({"vocab_size": 100}, r"word_embeddings\.weight \(.* x 32, expected 100 x 32\)"),
        ({"hidden_size": 30}, r"LayerNorm\.bias \(32, expected 30\)"),
        ({"num_hidden_layers": 1}, r"belong to no part of the encoder.*: encoder\.layer\.1\.attention"),
        ({"num_hidden_layers": 3}, r"not in its files: encoder\.layer\.2\.attention"),
        ({"num_hidden_layers": 10**9}, r"config\.json: num_hidden_layers: Input should be less than"),
        ({"hidden_size": 2 * 10**8}, r"LayerNorm\.bias \(32, expected 200000000\)"),
        ({"max_position_embeddings": 512}, r"position_embeddings\.weight \(256 x 32, expected 512 x 32\)"),
        ({"num_attention_heads": 5}, r"cannot be loaded \(The hidden size \(32\) is not a multiple"),
        ({"is_decoder": True}, r"config\.json: is_decoder: Input should be False"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(folder: Path, fields: dict[str, object], told: str) -> None:
    edit(folder / "config.json", **fields)
    with pytest.raises(ConfigurationError, match=told):
        parse_base_encoder(str(folder)).load()


@pytest.mark.parametrize("content", ["", "[1]", "null", "[" * 100_000])
def test_a_configuration_that_is_no_object_is_refused(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"config\.json"):
        parse_base_encoder(str(folder)).load()
