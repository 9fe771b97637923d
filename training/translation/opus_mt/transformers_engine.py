"""Runs a Marian model by transformers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from transformers import MarianMTModel, MarianTokenizer

from model_store.encoders.known_files import MarianFields, known_folder
from model_store.errors import ConfigurationError, TranslationError

_VOCABULARIES = ("source.spm", "target.spm", "vocab.json", "target_vocab.json")


def load_tokenizer(folder: Path, pair: str) -> MarianTokenizer:
    """The SentencePiece tokenizer of a Marian model's folder.

    Raises:
        TranslationError: a file of it is damaged, or SentencePiece is not installed.
    """
    try:
        with warnings.catch_warnings():
            # The tokenizer asks for sacremoses when it is made, but never calls it when it reads a text.
            warnings.filterwarnings("ignore", message=".*sacremoses")
            with _known(folder, None) as clean:
                tokenizer = MarianTokenizer.from_pretrained(clean, local_files_only=True)
    except (ConfigurationError, OSError, ValueError, ImportError, RuntimeError) as error:
        raise TranslationError(_tokenizer_problem(folder, pair, str(error))) from error
    # transformers gives False, not an error, where SentencePiece cannot read its file.
    if not isinstance(tokenizer, MarianTokenizer):
        raise TranslationError(_tokenizer_problem(folder, pair, "source.spm or target.spm is damaged"))
    return tokenizer


def decoding_limit(source_tokens: int, max_tokens: int) -> int:
    """Most tokens of a translation: a model that repeats itself without end stops there.

    It depends on the text alone, so that a translation does not depend on the batch that it shared.
    """
    return min(max_tokens, 2 * source_tokens + 8)


class TransformersEngine:
    """Beam search on a GPU where there is one.

    Raises:
        TranslationError: a file of the model is damaged.
    """

    def __init__(self, folder: Path, pair: str, max_tokens: int, beams: int) -> None:
        self._beams = beams
        self._tokenizer = load_tokenizer(folder, pair)
        self._max_tokens = max_tokens
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            with _known(folder, MarianFields) as clean:
                model = MarianMTModel.from_pretrained(clean, use_safetensors=True, local_files_only=True)
        except (ConfigurationError, OSError, ValueError, RuntimeError) as error:
            raise TranslationError(
                f"opus_mt for {pair}: the model in {folder} cannot be loaded: {error}; download it again"
            ) from error
        self._model = model.to(self._device).eval()

    def translate_batch(self, texts: Sequence[str]) -> list[str]:
        """Translations of one batch of texts, in its order."""
        tokens = self._tokenizer(
            list(texts), return_tensors="pt", padding=True, truncation=True, max_length=self._max_tokens
        ).to(self._device)
        lengths: list[int] = tokens["attention_mask"].sum(dim=1).tolist()
        limits = [decoding_limit(length, self._max_tokens) for length in lengths]
        with torch.inference_mode():
            # One more than the limit: the last step is forced to be the end of the sentence.
            generated = self._model.generate(**tokens, num_beams=self._beams, max_new_tokens=max(limits) + 1)
        # Every row starts with the decoder's start token.
        rows = [row[: limit + 1] for row, limit in zip(generated.tolist(), limits, strict=True)]
        decoded: list[str] = self._tokenizer.batch_decode(rows, skip_special_tokens=True)
        return decoded


def _known(folder: Path, model: type[MarianFields] | None) -> AbstractContextManager[Path]:
    return known_folder(folder, model, _VOCABULARIES, MarianTokenizer.__name__)


def _tokenizer_problem(folder: Path, pair: str, problem: str) -> str:
    return (
        f"opus_mt for {pair}: the tokenizer in {folder} cannot be loaded: {problem}; download the model "
        "again, and install sentencepiece (pip install 'continual-relevance[training]')"
    )
