"""A model folder of anybody's, cut down to data of known kinds: what transformers gets to see of it.

Files of a model folder can name what is to be run when it is loaded: Python files beside it (`auto_map`),
kernels of the model hub (`_attn_implementation_internal`), further configurations, trusted on the folder's word
(`trust_remote_code` in `config.json`), weights that are pickles. So transformers never reads the folder. It reads
one that is made here while it loads, with known fields of the JSON files, each of the kind that is expected, with
vocabularies, and with weights that are safetensors.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open

from model_store.errors import ConfigurationError

CONFIGURATION = "config.json"
TOKENIZER = "tokenizer.json"
WEIGHTS = "model.safetensors"
_TOKENIZER_CONFIGURATION = "tokenizer_config.json"
_SPECIAL_TOKENS = "special_tokens_map.json"
_GENERATION = "generation_config.json"
_INDEX = f"{WEIGHTS}.index.json"
_SHARD = re.compile(r"[A-Za-z0-9._-]+\.safetensors")
_WRITTEN_BY = "4.57.1"
"""4.57.6 warns about the tokenizer of a folder that a newer version wrote, or one that it does not know."""
_FOR_TORCH = (None, "pt")
"""Values of `format` in a file's header; others send the library to TensorFlow's or Flax' readers."""

Activation = Literal[
    "gelu", "gelu_fast", "gelu_new", "gelu_pytorch_tanh", "mish", "quick_gelu", "relu", "silu", "swish", "tanh"
]
Size = Annotated[int, Field(ge=1)]
Layers = Annotated[int, Field(ge=1, le=1000)]
TokenId = Annotated[int, Field(ge=0)] | None
Rate = Annotated[float, Field(ge=0)]


class KnownFields(BaseModel):
    """Fields of a JSON file by name and kind; all others are left out."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, populate_by_name=True)


Fields = TypeVar("Fields", bound=KnownFields)


class EncoderFields(KnownFields):
    """`config.json` of a BERT, RoBERTa or XLM-RoBERTa encoder."""

    model_type: Literal["bert", "roberta", "xlm-roberta"]
    vocab_size: Size
    hidden_size: Size
    num_hidden_layers: Layers
    num_attention_heads: Size
    intermediate_size: Size
    max_position_embeddings: Size
    hidden_act: Activation = "gelu"
    hidden_dropout_prob: Rate = 0.1
    attention_probs_dropout_prob: Rate = 0.1
    type_vocab_size: Size = 2
    initializer_range: Rate = 0.02
    layer_norm_eps: Rate = 1e-12
    position_embedding_type: Literal["absolute"] = "absolute"
    is_decoder: Literal[False] = False
    add_cross_attention: Literal[False] = False
    pad_token_id: TokenId = None
    bos_token_id: TokenId = None
    eos_token_id: TokenId = None


class GenerationFields(KnownFields):
    """What decides a translation, in `generation_config.json`, or in `config.json` of an older model."""

    bad_words_ids: list[list[int]] | None = None
    bos_token_id: TokenId = None
    decoder_start_token_id: TokenId = None
    eos_token_id: TokenId = None
    forced_eos_token_id: TokenId = None
    pad_token_id: TokenId = None
    max_length: Size = 512
    num_beams: Size = 1
    renormalize_logits: bool = False


class MarianFields(GenerationFields):
    """`config.json` of a Marian translation model."""

    model_type: Literal["marian"]
    vocab_size: Size
    d_model: Size
    encoder_layers: Size
    encoder_attention_heads: Size
    encoder_ffn_dim: Size
    decoder_layers: Size
    decoder_attention_heads: Size
    decoder_ffn_dim: Size
    max_position_embeddings: Size
    decoder_vocab_size: Size | None = None
    activation_function: Activation = "gelu"
    activation_dropout: Rate = 0.0
    attention_dropout: Rate = 0.0
    dropout: Rate = 0.1
    encoder_layerdrop: Rate = 0.0
    decoder_layerdrop: Rate = 0.0
    init_std: Rate = 0.02
    is_encoder_decoder: Literal[True] = True
    normalize_embedding: bool = False
    scale_embedding: bool = False
    share_encoder_decoder_embeddings: bool = True
    static_position_embeddings: bool = True
    tie_word_embeddings: bool = True
    use_cache: bool = True


class SpecialToken(KnownFields):
    """A token with how the text around it is treated."""

    kind: Literal["AddedToken"] = Field(default="AddedToken", alias="__type")
    content: str
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = True
    single_word: bool = False
    special: bool = False


Token = str | SpecialToken | None


class SpecialTokens(KnownFields):
    """`special_tokens_map.json`."""

    bos_token: Token = None
    eos_token: Token = None
    unk_token: Token = None
    sep_token: Token = None
    pad_token: Token = None
    cls_token: Token = None
    mask_token: Token = None
    additional_special_tokens: list[str | SpecialToken] | None = None


class TokenizerFields(SpecialTokens):
    """`tokenizer_config.json`; a file of the older form names no class."""

    tokenizer_class: str | None = None
    added_tokens_decoder: dict[Annotated[str, Field(pattern=r"^[0-9]{1,9}$")], SpecialToken] | None = None
    model_input_names: list[Literal["input_ids", "attention_mask", "token_type_ids"]] | None = None
    model_max_length: int | float | None = None
    add_prefix_space: bool | None = None
    clean_up_tokenization_spaces: bool | None = None
    do_lower_case: bool | None = None
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool | None = None
    trim_offsets: bool | None = None
    separate_vocabs: bool | None = None
    source_lang: str | None = None
    target_lang: str | None = None


def read_known_fields(path: Path, form: type[Fields]) -> Fields:
    """The known fields of a JSON file.

    Raises:
        ConfigurationError: no such file, no JSON object, or a field of another kind, named.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path} cannot be read ({error})") from error
    try:
        return form.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise ConfigurationError(f"{path}: {place}: {first['msg']}") from error


@contextmanager
def known_folder(
    folder: Path, model: type[KnownFields] | None, vocabularies: Sequence[str], tokenizer_class: str
) -> Iterator[Path]:
    """A folder for transformers to load from, while the context lasts.

    Args:
        folder: whose files are read.
        model: the known fields of `config.json`; None where only the tokenizer is loaded.
        vocabularies: the tokenizer's files, by name; those that are there are taken.
        tokenizer_class: put into `tokenizer_config.json`, whatever the folder names.

    Raises:
        ConfigurationError: a file is missing or damaged, or a field is of another kind.
    """
    with tempfile.TemporaryDirectory(prefix="relevance-") as name:
        clean = Path(name)
        tokenizer = tokenizer_fields(folder).model_copy(update={"tokenizer_class": tokenizer_class})
        _write(clean / _TOKENIZER_CONFIGURATION, tokenizer)
        _copy_fields(folder, clean, _SPECIAL_TOKENS, SpecialTokens)
        for file in vocabularies:
            if (folder / file).is_file():
                (clean / file).symlink_to((folder / file).resolve())
        if model:
            _write(clean / CONFIGURATION, read_known_fields(folder / CONFIGURATION, model))
            _copy_fields(folder, clean, _GENERATION, GenerationFields)
            _link_weights(folder, clean)
        yield clean


def tokenizer_fields(folder: Path) -> TokenizerFields:
    """The known fields of a folder's `tokenizer_config.json`; none where there is no such file.

    Raises:
        ConfigurationError: it is no JSON object, or a field is of another kind.
    """
    path = folder / _TOKENIZER_CONFIGURATION
    return read_known_fields(path, TokenizerFields) if path.is_file() else TokenizerFields()


def _copy_fields(folder: Path, clean: Path, file: str, form: type[KnownFields]) -> None:
    if (folder / file).is_file():
        _write(clean / file, read_known_fields(folder / file, form))


def _write(path: Path, fields: KnownFields) -> None:
    content = fields.model_dump(mode="json", exclude_unset=True, by_alias=True)
    if path.name == CONFIGURATION:
        content["transformers_version"] = _WRITTEN_BY
    path.write_text(json.dumps(content), encoding="utf-8")


def _link_weights(folder: Path, clean: Path) -> None:
    names = [WEIGHTS]
    if not (folder / WEIGHTS).is_file():
        index = _read_index(folder)
        names = sorted(set(index.weight_map.values()))
        content = {"metadata": {}, "weight_map": index.weight_map}
        (clean / _INDEX).write_text(json.dumps(content), encoding="utf-8")
    for name in names:
        _check_safetensors(folder / name)
        (clean / name).symlink_to((folder / name).resolve())


class _Index(KnownFields):
    weight_map: dict[str, str] = Field(min_length=1)


def _read_index(folder: Path) -> _Index:
    if not (folder / _INDEX).is_file():
        raise ConfigurationError(
            f"{folder} has no {WEIGHTS}, and pickle files are never loaded: save the model with transformers "
            "(save_pretrained writes safetensors) where you trust it"
        )
    index = read_known_fields(folder / _INDEX, _Index)
    for name in index.weight_map.values():
        if not _SHARD.fullmatch(name):
            raise ConfigurationError(f"{folder / _INDEX}: {name!r} is no safetensors file of this folder")
    return index


def _check_safetensors(path: Path) -> None:
    try:
        with safe_open(path, framework="pt") as file:
            form = (file.metadata() or {}).get("format")
    except (OSError, SafetensorError) as error:
        raise ConfigurationError(f"{path} is no whole safetensors file ({error}): download it again") from error
    if form not in _FOR_TORCH:
        raise ConfigurationError(f"{path} has tensors of the form {form!r}: save the model again with torch")
