"""Whether a folder's tensors are the whole encoder, no less and no more, and what texts that encoder takes.

transformers fills a missing tensor with random numbers and leaves an additional one out, each with a warning. So
names, shapes and kinds of the stored tensors are held against the architecture's before any of them is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from model_store.errors import ConfigurationError

_NAMED = 4
"""Tensors that a message names; it counts the others."""
_FLOATS = ("F64", "F32", "F16", "BF16")
_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")
"""Written by older versions of transformers; they are counted, not learnt."""
_LEGACY_NAMES = (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias"))
_CHANGES_THE_ENCODER = re.compile(r"adapter|lora_|loha|lokr|ia3|prompt|prefix_tuning|loreft")
"""Outside of embeddings and layers lie heads, which are not loaded, unless one of these is in their names."""
_TEXT = "red shoes, talla 42"

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class _Stored:
    shape: tuple[int, ...]
    kind: str
    file: str


def check_tensors(model: type[PreTrainedModel], folder: Path) -> None:
    """Refuse a folder whose safetensors files are not exactly the encoder that its configuration describes.

    Args:
        model: the architecture, which is made without memory for its weights.
        folder: as `known_folder` makes it.

    Raises:
        ConfigurationError: tensors that are missing, of another shape, unknown, twice there, or no floating point
            numbers; names the first of them.
    """
    stored = _stored(folder)
    own = _own(stored, model.base_model_prefix)
    expected = _expected(model, folder)
    _refuse_missing(sorted(expected.keys() - own.keys()), stored)
    _refuse(
        "of the encoder's tensors have another shape than its config.json says",
        [
            f"{name} ({_size(own[name].shape)}, expected {_size(shape)})"
            for name, shape in sorted(expected.items())
            if own[name].shape != shape
        ],
        "is the config.json that of these weights?",
    )
    unknown = [name for name in sorted(own.keys() - expected.keys()) if _belongs_to_the_encoder(name)]
    _refuse(
        "tensors belong to no part of the encoder that its config.json describes",
        unknown,
        "without them it would be another encoder: save it without adapters, with the config.json of all layers",
    )
    _refuse(
        "of the encoder's tensors are no floating point numbers",
        [f"{name} ({own[name].kind})" for name in sorted(expected) if own[name].kind not in _FLOATS],
        "save it without quantisation",
    )


def check_runs(encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse an encoder that cannot encode a text, or not one of as many tokens as it has positions for.

    Raises:
        ConfigurationError: a weight is no finite number, or the tokenizer or the encoder fails on a text.
    """
    broken = [name for name, tensor in encoder.state_dict().items() if not torch.isfinite(tensor.sum())]
    _refuse("of the encoder's tensors hold numbers that are not finite", sorted(broken), "take an earlier copy")
    limit = token_limit(encoder)
    if tokenizer.pad_token_id is None:
        raise ConfigurationError("its tokenizer names no padding token: add pad_token to tokenizer_config.json")
    with torch.inference_mode():
        encoded = tokenizer(_TEXT, _TEXT, return_token_type_ids=True)
        tokens = [token for token in encoded["input_ids"][:limit] if token != tokenizer.pad_token_id]
        if not tokens or encoded.sequence_ids(0) is None:
            raise ConfigurationError(f"its tokenizer makes no tokens of {_TEXT!r}")
        encoder(input_ids=torch.tensor([tokens]))
        encoder.embeddings(input_ids=torch.tensor([(tokens * limit)[:limit]]))


def token_limit(encoder: PreTrainedModel) -> int:
    """How many tokens, special ones included, a text may have: what the encoder has positions for.

    Not `max_position_embeddings`: where the position table knows a padding row (RoBERTa, XLM-RoBERTa, CamemBERT,
    MPNet), positions begin after it, so that 514 of them hold 512 tokens.

    Raises:
        ConfigurationError: not even a token and two special ones fit.
    """
    table = getattr(encoder.embeddings, "position_embeddings", None)
    if isinstance(table, nn.Embedding):
        limit = table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)
    else:  # relative positions: as many as it was trained with
        limit = int(encoder.config.max_position_embeddings)
    if limit < 3:
        raise ConfigurationError(f"its positions hold {limit} tokens, which is not enough for any text")
    return limit


def _stored(folder: Path) -> dict[str, _Stored]:
    """The tensors in the folder's safetensors files, by name."""
    stored: dict[str, _Stored] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - it is no mapping
                part = file.get_slice(name)
                if name in stored:
                    raise ConfigurationError(
                        f"tensor {name} is in {stored[name].file} and in {path.name}: leave one of them"
                    )
                stored[name] = _Stored(tuple(part.get_shape()), part.get_dtype(), path.name)
    return stored


def _own(stored: Mapping[str, _Stored], prefix: str) -> dict[str, _Stored]:
    """The encoder's tensors by its own names: a model with a head keeps them below its prefix, as `bert.`."""
    below = f"{prefix}."
    if any(name.startswith(below) for name in stored):
        stored = {
            name.removeprefix(below): tensor
            for name, tensor in stored.items()
            if name.startswith(below) or _CHANGES_THE_ENCODER.search(name)
        }
    own = {}
    for name, tensor in stored.items():
        for legacy, current in _LEGACY_NAMES:
            name = name.replace(legacy, current)
        own[name] = tensor
    return own


def _expected(model: type[PreTrainedModel], folder: Path) -> Shapes:
    configuration = model.config_class.from_pretrained(folder, local_files_only=True)
    with torch.device("meta"):
        whole: nn.Module = model(configuration, add_pooling_layer=False)
    return {name: tuple(tensor.shape) for name, tensor in whole.state_dict().items()}


def _belongs_to_the_encoder(name: str) -> bool:
    if name in _BUFFERS:
        return False
    return name.startswith(("embeddings.", "encoder.")) or bool(_CHANGES_THE_ENCODER.search(name))


def _refuse_missing(missing: list[str], stored: Mapping[str, _Stored]) -> None:
    if not missing:
        return
    elsewhere = next((name for name in sorted(stored) if name.endswith(f".{missing[0]}")), None)
    remedy = "save the whole encoder again (save_pretrained)"
    if elsewhere is not None:
        prefix = elsewhere.removesuffix(missing[0])
        remedy = (
            f"the files have {elsewhere}: save the encoder itself, so that its names lose the prefix {prefix!r}"
        )
    _refuse("of the encoder's tensors are not in its files", missing, remedy)


def _refuse(problem: str, names: list[str], remedy: str) -> None:
    if names:
        raise ConfigurationError(f"{len(names)} {problem}: {named(names)}; {remedy}")


def named(names: Iterable[str]) -> str:
    """The first names, and how many others there are."""
    every = list(names)
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return ", ".join(every[:_NAMED]) + more


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"
