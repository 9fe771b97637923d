"""The frozen multilingual encoder under all adapters: packaged, from a hub, or from a local folder."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from model_store.atomic_files import write_text_atomically
from model_store.errors import ConfigurationError, VersionCorruptError
from model_store.packaged_encoder import packaged_encoder_folder
from model_store.settings import ModelStoreSettings

FAMILIES = ("bert", "roberta", "xlm-roberta")
_PACKAGED = re.compile(r"packaged(?::([0-9]+))?")
_DIGESTED_SUFFIXES = (".json", ".safetensors", ".txt", ".model")


@dataclass(frozen=True)
class BaseEncoder:
    """A base encoder by its source text: what a model version's manifest stores."""

    source: str

    def load(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """The encoder (float32, eval, no pooler) and its fast tokenizer.

        Raises:
            ConfigurationError: the source cannot be read, or is of another family than BERT's.
        """
        folder = self.folder
        try:
            configuration = AutoConfig.from_pretrained(folder, local_files_only=True)
            if configuration.model_type not in FAMILIES:
                raise ConfigurationError(
                    f"base encoder {self.source}: model type {configuration.model_type!r} is not supported; "
                    f"use one of {', '.join(FAMILIES)}"
                )
            encoder = AutoModel.from_pretrained(
                folder,
                add_pooling_layer=False,
                attn_implementation="sdpa",
                use_safetensors=True,
                dtype=torch.float32,
                local_files_only=True,
            )
            tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True, local_files_only=True)
        except (OSError, ValueError) as error:
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


def _downloaded(identifier: str) -> Path:
    from huggingface_hub import snapshot_download

    name, _, revision = identifier.partition("@")
    try:
        return Path(
            snapshot_download(
                name,
                revision=revision or None,
                allow_patterns=["*.safetensors", "*.json", "*.txt", "*.model"],
                etag_timeout=10,
            )
        )
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"base encoder hub:{identifier} cannot be had from the model hub ({type(error).__name__}): check the "
            "name and the connection, name a local folder, or use the packaged encoder"
        ) from error
