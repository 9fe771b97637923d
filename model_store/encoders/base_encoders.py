"""The frozen multilingual encoder under all adapters: packaged, from a hub, or from a local folder."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from transformers import (
    BertModel,
    BertTokenizerFast,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    RobertaModel,
    RobertaTokenizerFast,
    XLMRobertaModel,
    XLMRobertaTokenizerFast,
)
from transformers.utils.logging import disable_progress_bar

from model_store.encoders.known_files import (
    CONFIGURATION,
    TOKENIZER,
    EncoderFields,
    KnownFields,
    known_folder,
    read_known_fields,
    tokenizer_fields,
)
from model_store.encoders.packaged import packaged_encoder_folder
from model_store.errors import ConfigurationError, VersionCorruptError, hub_errors
from model_store.files import write_text_atomically
from model_store.settings import ModelStoreSettings


@dataclass(frozen=True, slots=True)
class _Family:
    encoder: type[PreTrainedModel]
    tokenizer: type[PreTrainedTokenizerBase]


FAMILIES = {
    "bert": _Family(BertModel, BertTokenizerFast),
    "roberta": _Family(RobertaModel, RobertaTokenizerFast),
    "xlm-roberta": _Family(XLMRobertaModel, XLMRobertaTokenizerFast),
}
"""By `model_type`, the encoders whose layers the network can take apart."""

_TOKENIZERS: dict[str, type[PreTrainedTokenizerBase]] = {
    "BertTokenizer": BertTokenizerFast,
    "RobertaTokenizer": RobertaTokenizerFast,
    "XLMRobertaTokenizer": XLMRobertaTokenizerFast,
}
_VOCABULARIES = (TOKENIZER, "vocab.txt", "vocab.json", "merges.txt", "sentencepiece.bpe.model")
_PACKAGED = re.compile(r"packaged(?::([0-9]+))?")
_DIGESTED_SUFFIXES = (".json", ".safetensors", ".txt", ".model")


@dataclass(frozen=True)
class BaseEncoder:
    """A base encoder by its source text: what a model version's manifest stores."""

    source: str

    def load(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """The encoder (float32, eval, no pooler) and its fast tokenizer; nothing of its folder is run.

        Raises:
            ConfigurationError: the source cannot be read, lacks weights, or is of another family than BERT's.
        """
        folder = self.folder
        try:
            family = _family(folder)
            tokenizer_class = _tokenizer_class(folder, family)
            with known_folder(folder, EncoderFields, _VOCABULARIES, tokenizer_class.__name__) as clean:
                encoder = _encoder(family.encoder, clean)
                tokenizer = _tokenizer(tokenizer_class, clean, int(encoder.config.vocab_size))
        except (ConfigurationError, OSError, ValueError, RuntimeError) as error:
            raise ConfigurationError(f"base encoder {self.source}: {error}") from error
        return encoder.eval(), tokenizer

    @cached_property
    def folder(self) -> Path:
        """A local folder with the encoder's files; converts or downloads on first use."""
        packaged = _PACKAGED.fullmatch(self.source)
        if packaged:
            return packaged_encoder_folder(int(packaged.group(1)) if packaged.group(1) else None)
        if self.source.startswith("hub:"):
            return _downloaded(self.source.removeprefix("hub:"))
        folder = Path(self.source.removeprefix("folder:"))
        if not (folder / "config.json").is_file():
            raise ConfigurationError(
                f"base encoder {self.source!r} is neither 'packaged', 'packaged:LAYERS', 'hub:ID' nor a folder "
                "with a config.json"
            )
        return folder

    def digest(self) -> str:
        """sha256 over names and contents of weights, configuration and tokenizer files.

        Remembered by the files' sizes and times, since hashing half a gigabyte takes a second.
        """
        files = sorted(path for path in self.folder.iterdir() if path.suffix in _DIGESTED_SUFFIXES)
        state = json.dumps([[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files])
        key = hashlib.sha256(f"{self.folder.resolve()}\n{state}".encode()).hexdigest()
        memory = ModelStoreSettings().relevance_cache / "digests" / key
        if memory.is_file():
            return memory.read_text(encoding="utf-8")
        total = hashlib.sha256()
        for path in files:
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            total.update(f"{path.name} {content}\n".encode())
        write_text_atomically(memory, total.hexdigest())
        return total.hexdigest()

    def verify(self, expected: str) -> None:
        """Check that this is the encoder a version was trained on.

        Raises:
            VersionCorruptError: it is another one.
        """
        if self.digest() != expected:
            raise VersionCorruptError(
                f"base encoder {self.source} in {self.folder} is not the one the version was trained on "
                f"(digest {self.digest()[:12]}, expected {expected[:12]})"
            )


def parse_base_encoder(source: str) -> BaseEncoder:
    """A base encoder from `packaged`, `packaged:LAYERS`, `hub:ID[@REVISION]`, `folder:PATH` or a path.

    Raises:
        ConfigurationError: the text is empty.
    """
    if not source.strip():
        raise ConfigurationError("no base encoder is named: use packaged, packaged:4, hub:ID or a folder")
    return BaseEncoder(source.strip())


class _ModelType(KnownFields):
    model_type: str


def _family(folder: Path) -> _Family:
    model_type = read_known_fields(folder / CONFIGURATION, _ModelType).model_type
    if model_type not in FAMILIES:
        raise ConfigurationError(f"model type {model_type!r} is not supported; use one of {', '.join(FAMILIES)}")
    return FAMILIES[model_type]


def _tokenizer_class(folder: Path, family: _Family) -> type[PreTrainedTokenizerBase]:
    """The class that is known by the name in the folder; for another one, what its tokenizer.json says alone."""
    if not any((folder / name).is_file() for name in _VOCABULARIES):
        raise ConfigurationError(f"{folder} has no tokenizer: none of {', '.join(_VOCABULARIES)} is there")
    named = tokenizer_fields(folder).tokenizer_class
    if named is None:
        return family.tokenizer
    known = _TOKENIZERS.get(named.removesuffix("Fast"))
    if known is None and not (folder / TOKENIZER).is_file():
        raise ConfigurationError(f"{folder}: {named} has no fast form here, and there is no {TOKENIZER}")
    return known or PreTrainedTokenizerFast


def _encoder(model: type[PreTrainedModel], clean: Path) -> PreTrainedModel:
    disable_progress_bar()  # of a second's work, from transformers 5 on
    encoder: PreTrainedModel
    encoder, report = model.from_pretrained(
        clean,
        add_pooling_layer=False,
        attn_implementation="sdpa",
        use_safetensors=True,
        dtype=torch.float32,
        local_files_only=True,
        output_loading_info=True,
    )
    missing = sorted(report["missing_keys"])
    if missing:
        raise ConfigurationError(
            f"{len(missing)} of the encoder's tensors are not in its files, such as {missing[0]}: are they there "
            "under other names, with a prefix?"
        )
    return encoder


def _tokenizer(
    tokenizer_class: type[PreTrainedTokenizerBase], clean: Path, vocabulary: int
) -> PreTrainedTokenizerBase:
    try:
        tokenizer = tokenizer_class.from_pretrained(clean, local_files_only=True)
    except Exception as error:  # the tokenizers library has no narrower class for a file it cannot read
        raise ConfigurationError(f"its tokenizer cannot be read: {error}") from error
    if len(tokenizer) > vocabulary:
        raise ConfigurationError(f"its tokenizer has {len(tokenizer)} tokens, its vocab_size is {vocabulary}")
    return tokenizer


def _downloaded(identifier: str) -> Path:
    from huggingface_hub import snapshot_download

    name, _, revision = identifier.partition("@")
    problems: tuple[type[BaseException], ...] = (*hub_errors(), ValueError)
    try:
        return Path(
            snapshot_download(
                name,
                revision=revision or None,
                allow_patterns=["*.safetensors", "*.json", "*.txt", "*.model"],
                etag_timeout=10,
            )
        )
    except problems as error:
        raise ConfigurationError(
            f"base encoder hub:{identifier} cannot be had from the model hub ({type(error).__name__}): check the "
            "name and the connection, name a local folder, or use the packaged encoder"
        ) from error
