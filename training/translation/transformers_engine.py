"""Runs a Marian model by transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import MarianMTModel, MarianTokenizer

from model_store.errors import TranslationError


def load_tokenizer(folder: Path, pair: str) -> MarianTokenizer:
    """The SentencePiece tokenizer of a Marian model's folder.

    Raises:
        TranslationError: a file of it is damaged, or SentencePiece is not installed.
    """
    try:
        return MarianTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise TranslationError(
            f"opus_mt for {pair}: the tokenizer in {folder} cannot be loaded: {error}; download the model "
            "again, and install sentencepiece (pip install 'continual-relevance[training]')"
        ) from error


class TransformersEngine:
    """Beam search as the model's generation configuration says, on a GPU where there is one.

    Raises:
        TranslationError: a file of the model is damaged.
    """

    def __init__(self, folder: Path, pair: str, max_tokens: int) -> None:
        self._tokenizer = load_tokenizer(folder, pair)
        self._max_tokens = max_tokens
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            model = MarianMTModel.from_pretrained(folder, use_safetensors=True, local_files_only=True)
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise TranslationError(
                f"opus_mt for {pair}: the model in {folder} cannot be loaded: {error}; download it again"
            ) from error
        self._model = model.to(self._device).eval()

    def translate_batch(self, texts: Sequence[str]) -> list[str]:
        """Translations of one batch of texts, in its order."""
        tokens = self._tokenizer(
            list(texts), return_tensors="pt", padding=True, truncation=True, max_length=self._max_tokens
        ).to(self._device)
        with torch.inference_mode():
            generated = self._model.generate(
                **tokens, max_new_tokens=min(self._max_tokens, 2 * tokens["input_ids"].shape[1] + 8)
            )
        decoded: list[str] = self._tokenizer.batch_decode(generated, skip_special_tokens=True)
        return decoded
