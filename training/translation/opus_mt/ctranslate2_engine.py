"""Runs a Marian model by CTranslate2: quantised, and several times as fast on a CPU.

Convert a downloaded model once (the program comes with the package):

    ct2-transformers-converter --model FOLDER --output_dir CONVERTED --quantization int8 \\
        --copy_files source.spm target.spm vocab.json tokenizer_config.json
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from model_store.errors import ConfigurationError, TranslationError
from training.translation.opus_mt.transformers_engine import decoding_limit, load_tokenizer


def check_installed(pair: str) -> None:
    """Refuse the engine where its package is missing.

    Raises:
        ConfigurationError: `ctranslate2` is not installed.
    """
    if importlib.util.find_spec("ctranslate2") is None:
        raise ConfigurationError(
            f"ctranslate2 for {pair} is not installed: pip install 'continual-relevance[opus-mt]', "
            f"or choose {pair}=opus_mt"
        )


class CTranslate2Engine:
    """Beam search on a GPU where there is one.

    Raises:
        TranslationError: the folder's model is damaged or was not converted by CTranslate2.
    """

    def __init__(self, folder: Path, pair: str, max_tokens: int, beams: int) -> None:
        self._beams = beams
        import ctranslate2

        self._tokenizer = load_tokenizer(folder, pair)
        self._max_tokens = max_tokens
        try:
            self._translator = ctranslate2.Translator(str(folder), device="auto")
        except (RuntimeError, ValueError) as error:
            raise TranslationError(
                f"ctranslate2 for {pair}: the model in {folder} cannot be loaded: {error}; convert it again"
            ) from error

    def translate_batch(self, texts: Sequence[str]) -> list[str]:
        """Translations of one batch of texts, in its order."""
        ids: list[list[int]] = self._tokenizer(list(texts), truncation=True, max_length=self._max_tokens)[
            "input_ids"
        ]
        limits = [decoding_limit(len(row), self._max_tokens) for row in ids]
        results = self._translator.translate_batch(
            [self._tokenizer.convert_ids_to_tokens(row) for row in ids],
            beam_size=self._beams,
            max_decoding_length=max(limits),
        )
        rows = [
            self._tokenizer.convert_tokens_to_ids(result.hypotheses[0][:limit])
            for result, limit in zip(results, limits, strict=True)
        ]
        decoded: list[str] = self._tokenizer.batch_decode(rows, skip_special_tokens=True)
        return decoded
