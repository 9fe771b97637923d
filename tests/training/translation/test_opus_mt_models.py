from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.training.translation.tiny_marian import make_tiny_marian
from training.translation import OpusMtTranslator
from training.translation.opus_mt_models import OpusMtModel, default_model


def test_most_pairs_follow_the_pattern_of_names() -> None:
    assert default_model("es", "en") == OpusMtModel("Helsinki-NLP/opus-mt-es-en")
    assert default_model("ja", "es") == OpusMtModel("Helsinki-NLP/opus-mt-ja-es")


def test_a_model_of_several_target_languages_is_told_which() -> None:
    assert default_model("en", "pt").prefix == ">>por<< "


def test_a_model_that_was_downloaded_before_needs_no_hub(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    repository = tmp_path / "models--Helsinki-NLP--opus-mt-en-es"
    snapshot = repository / "snapshots" / "0123456789012345678901234567890123456789"
    shutil.copytree(make_tiny_marian(tmp_path / "made"), snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(snapshot.name)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    translator = OpusMtTranslator("en", "es", beams=1)
    assert translator.name == "opus_mt transformers Helsinki-NLP/opus-mt-en-es beams 1"
    assert len(translator.translate(["red shoes"])) == 1
