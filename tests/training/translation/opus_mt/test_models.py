from __future__ import annotations

from pathlib import Path

import pytest

from model_store.errors import TranslationError
from tests.support.training.tiny_marian import LocalHub
from tests.training.translation.conftest import CLOSED_PORT
from training.translation import OpusMtTranslator
from training.translation.opus_mt.models import OpusMtModel, default_model

EN_ES = "Helsinki-NLP/opus-mt-en-es"


def test_most_pairs_follow_the_pattern_of_names() -> None:
    assert default_model("es", "en") == OpusMtModel("Helsinki-NLP/opus-mt-es-en")
    assert default_model("ja", "es") == OpusMtModel("Helsinki-NLP/opus-mt-ja-es")


def test_a_model_of_several_target_languages_is_told_which() -> None:
    assert default_model("en", "pt").prefix == ">>por<< "


def test_looking_for_a_model_downloads_nothing_and_using_it_no_pickle(hub: LocalHub, marian: Path) -> None:
    translator = OpusMtTranslator("en", "es", beams=1)
    assert hub.downloads == []
    by_folder = OpusMtTranslator("en", "es", model=marian, beams=1)
    assert translator.translate(["red shoes"]) == by_folder.translate(["red shoes"])
    assert "model.safetensors" in hub.downloads
    assert "both.model" not in hub.downloads


def test_a_model_that_was_downloaded_before_needs_no_hub(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    translations = OpusMtTranslator("en", "es", beams=1).translate(["red shoes"])
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", CLOSED_PORT)
    again = OpusMtTranslator("en", "es", beams=1)
    assert again.name == f"opus_mt transformers {EN_ES} beams 1"
    assert again.translate(["red shoes"]) == translations


def test_a_hub_model_of_pickle_files_only_is_refused_before_any_download(hub: LocalHub, tmp_path: Path) -> None:
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    (pickled / "pytorch_model.bin").write_bytes(b"never read")
    hub.folders["Helsinki-NLP/opus-mt-en-jap"] = pickled
    with pytest.raises(TranslationError, match=r"en-ja: .*pickle files are never loaded"):
        OpusMtTranslator("en", "ja")
    assert hub.downloads == []


@pytest.mark.usefixtures("hub")
def test_a_model_that_the_hub_does_not_have_is_named_with_the_pair() -> None:
    with pytest.raises(TranslationError, match=r"en-sw: the hub has no model .*opus-mt-en-sw"):
        OpusMtTranslator("en", "sw")


def test_a_hub_that_vanishes_before_the_download_is_reported(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    translator = OpusMtTranslator("en", "es")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", CLOSED_PORT)
    with pytest.raises(TranslationError, match=r"en-es: the model hub did not answer"):
        translator.translate(["red"])
