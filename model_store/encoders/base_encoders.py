"""The frozen multilingual encoder under all adapters: packaged, from a hub, or from a local folder."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterable
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

from model_store.encoders.completeness import check_runs, check_tensors, named
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
_PACKAGED = re.compile(r"packaged(?::([0-9]{1,4}))?")
_LONGEST_REASON = 500
_DIGEST = re.compile(r"[0-9a-f]{64}")
_log = logging.getLogger(__name__)
_DIGESTED_SUFFIXES = (".json", ".safetensors", ".txt", ".model")


@dataclass(frozen=True)
class BaseEncoder:
    """A base encoder by its source text: what a model version's manifest stores."""

    source: str

    def load(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """The encoder (float32, eval, no pooler) and its fast tokenizer; nothing of its folder is run.

        Raises:
            ConfigurationError: the source cannot be read, is not the whole encoder, or of another family than
                BERT's.
        """
        folder = self.folder
        try:
            family = _family(folder)
            tokenizer_class = _tokenizer_class(folder, family)
            with known_folder(folder, EncoderFields, _VOCABULARIES, tokenizer_class.__name__) as clean:
                check_tensors(family.encoder, clean)
                encoder = _encoder(family.encoder, clean)
                tokenizer = _tokenizer(tokenizer_class, clean, int(encoder.config.vocab_size))
            check_runs(encoder, tokenizer)
        except Exception as error:  # the libraries have no common class for files that they cannot use
            raise ConfigurationError(f"base encoder {self.source}: {_reason(error)}") from error
        return encoder, tokenizer

    @cached_property
    def folder(self) -> Path:
        """A local folder with the encoder's files; converts or downloads on first use."""
        packaged = _PACKAGED.fullmatch(self.source)
        if packaged:
            return packaged_encoder_folder(int(packaged.group(1)) if packaged.group(1) else None)
        if self.source.startswith("hub:"):
            return _downloaded(self.source.removeprefix("hub:"))
        try:
            folder = Path(self.source.removeprefix("folder:")).expanduser()
            found = (folder / CONFIGURATION).is_file()
        except (OSError, RuntimeError) as error:  # of `~name`, where there is no such user
            raise ConfigurationError(f"base encoder {self.source!r} cannot be read ({error})") from error
        if not found:
            raise ConfigurationError(
                f"base encoder {self.source!r} is neither 'packaged', 'packaged:LAYERS', 'hub:ID' nor a folder "
                "with a config.json"
            )
        return folder

    def digest(self) -> str:
        """sha256 over names and contents of weights, configuration and tokenizer files.

        Remembered by the files' sizes and times, since hashing half a gigabyte takes a second.

        Raises:
            ConfigurationError: a file cannot be read.
        """
        try:
            files = sorted(path for path in self.folder.iterdir() if path.suffix in _DIGESTED_SUFFIXES)
            state = json.dumps([[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files])
            key = hashlib.sha256(
                f"{self.folder.resolve()}\n{state}".encode("utf-8", "surrogateescape")
            ).hexdigest()
            memory = ModelStoreSettings().relevance_cache / "digests" / key
            return _remembered(memory) or _kept(memory, _digest_of(files))
        except OSError as error:
            raise ConfigurationError(f"base encoder {self.source}: a file cannot be read ({error})") from error

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


def _digest_of(files: Iterable[Path]) -> str:
    total = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.name} {content}\n".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def _remembered(memory: Path) -> str | None:
    try:
        digest = memory.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None  # it is computed anew
    return digest if _DIGEST.fullmatch(digest) else None


def _kept(memory: Path, digest: str) -> str:
    try:
        write_text_atomically(memory, digest)
    except OSError as error:
        _log.warning("%s cannot be written (%s): the encoder's digest is computed each time", memory, error)
    return digest


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
    if missing:  # known by other names to `check_tensors` than to this version of transformers
        raise ConfigurationError(f"transformers did not find {named(missing)} in its files")
    return encoder.eval()


def _reason(error: Exception) -> str:
    """An error of any library as one line."""
    text = " ".join(str(error).split())
    short = text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}..."
    return (
        short if isinstance(error, ConfigurationError | OSError) else f"cannot be loaded ({short or repr(error)})"
    )


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
            f"base encoder hub:{identifier} cannot be had from the model hub ({_reason_of_the_hub(error)}): "
            "check the name and the connection, name a local folder, or use the packaged encoder"
        ) from error


def _reason_of_the_hub(error: BaseException) -> str:
    """Of this machine's errors what they say; the hub's answers run over many lines."""
    return str(error) if isinstance(error, OSError) and error.filename else type(error).__name__
