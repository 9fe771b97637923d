from __future__ import annotations

import importlib.util
import shutil
import time
import warnings
from pathlib import Path

import pytest

from model_store.errors import ConfigurationError, TranslationError
from training.translation import OpusMtTranslator

needs_ctranslate2 = pytest.mark.skipif(
    importlib.util.find_spec("ctranslate2") is None, reason="ctranslate2 is not installed"
)
TEXTS = ["red running shoes", "", "bottle", "wireless headphones for women", "bottle"]
TOKENIZER_FILES = ["source.spm", "target.spm", "vocab.json", "tokenizer_config.json"]


@pytest.fixture(scope="module")
def converted(marian: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from ctranslate2.converters import TransformersConverter

    folder = tmp_path_factory.mktemp("converted") / "en-es"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*sacremoses")
        TransformersConverter(str(marian), copy_files=TOKENIZER_FILES).convert(str(folder))
    return folder


def test_texts_come_back_in_their_order_and_blank_ones_stay_blank(marian: Path) -> None:
    translator = OpusMtTranslator("en", "es", model=marian, beams=1, batch_size=2)
    translations = translator.translate(TEXTS)
    assert len(translations) == len(TEXTS)
    assert translations[1] == ""
    assert translations[2] == translations[4]
    for text, translation in zip(TEXTS, translations, strict=True):
        assert translator.translate([text]) == [translation]


def test_a_text_far_longer_than_the_model_takes_is_cut_not_fatal(marian: Path) -> None:
    translator = OpusMtTranslator("en", "es", model=str(marian), beams=1)
    assert len(translator.translate(["water bottle " * 2000])) == 1


def test_the_name_changes_with_the_weights(marian: Path, tmp_path: Path) -> None:
    other = tmp_path / "en-es"
    shutil.copytree(marian, other)
    assert OpusMtTranslator("en", "es", model=other).name == OpusMtTranslator("en", "es", model=marian).name
    configuration = other / "config.json"
    configuration.write_text(configuration.read_text() + "\n")
    assert OpusMtTranslator("en", "es", model=other).name != OpusMtTranslator("en", "es", model=marian).name


def test_a_mapping_names_the_model_of_a_pair(marian: Path) -> None:
    models = {"en-es": str(marian)}
    assert OpusMtTranslator("en", "es", model=models).name == OpusMtTranslator("en", "es", model=marian).name


@needs_ctranslate2
def test_ctranslate2_gives_the_same_translations(marian: Path, converted: Path) -> None:
    by_transformers = OpusMtTranslator("en", "es", model=marian, beams=1)
    by_ctranslate2 = OpusMtTranslator("en", "es", model=converted, engine="ctranslate2", beams=1)
    assert by_ctranslate2.translate(TEXTS) == by_transformers.translate(TEXTS)
    assert by_ctranslate2.name != by_transformers.name


@needs_ctranslate2
def test_ctranslate2_refuses_a_folder_that_was_not_converted(marian: Path) -> None:
    with pytest.raises(TranslationError, match=r"en-es.*ct2-transformers-converter"):
        OpusMtTranslator("en", "es", model=marian, engine="ctranslate2")


@needs_ctranslate2
def test_ctranslate2_reports_a_damaged_model(converted: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(converted, damaged)
    (damaged / "model.bin").write_bytes(b"damaged")
    with pytest.raises(TranslationError, match=r"en-es.*convert it again"):
        OpusMtTranslator("en", "es", model=damaged, engine="ctranslate2").translate(["red"])


@needs_ctranslate2
def test_ctranslate2_needs_a_folder() -> None:
    with pytest.raises(TranslationError, match=r"en-es=ctranslate2:FOLDER"):
        OpusMtTranslator("en", "es", engine="ctranslate2")


def test_ctranslate2_without_its_package_says_how_to_install_it(
    marian: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match="pip install"):
        OpusMtTranslator("en", "es", model=marian, engine="ctranslate2")


def test_a_folder_with_only_a_pickle_is_refused_with_what_to_do(marian: Path, tmp_path: Path) -> None:
    pickled = tmp_path / "pickled"
    shutil.copytree(marian, pickled)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(TranslationError, match=r"en-es.*pickle files are never loaded; convert"):
        OpusMtTranslator("en", "es", model=pickled)


def test_a_folder_that_lacks_files_names_them(marian: Path, tmp_path: Path) -> None:
    incomplete = tmp_path / "incomplete"
    shutil.copytree(marian, incomplete)
    (incomplete / "source.spm").unlink()
    with pytest.raises(TranslationError, match=r"lacks source\.spm"):
        OpusMtTranslator("en", "es", model=incomplete)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(TranslationError, match=r"en-es: there is no folder .*nowhere"):
        OpusMtTranslator("en", "es", model=tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["model.safetensors", "source.spm", "vocab.json"])
def test_a_damaged_file_is_reported_when_the_model_is_loaded(marian: Path, tmp_path: Path, name: str) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(marian, damaged)
    (damaged / name).write_bytes(b"damaged")
    with pytest.raises(TranslationError, match=r"en-es.*cannot be loaded"):
        OpusMtTranslator("en", "es", model=damaged).translate(["red"])


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize(
    ("source", "target", "hub_id"),
    [
        ("ja", "en", "Helsinki-NLP/opus-mt-ja-en"),
        ("en", "ja", "Helsinki-NLP/opus-mt-en-jap"),
        ("en", "pt", "Helsinki-NLP/opus-mt-tc-big-en-pt"),
    ],
)
def test_without_the_hub_the_pair_and_the_way_out_are_named_at_once(
    source: str, target: str, hub_id: str
) -> None:
    start = time.monotonic()
    with pytest.raises(TranslationError) as caught:
        OpusMtTranslator(source, target)
    assert time.monotonic() - start < 10
    message = str(caught.value)
    assert hub_id in message
    assert f"{source}-{target}=opus_mt:FOLDER" in message
    assert "choose another translator" in message


@pytest.mark.usefixtures("no_hub")
def test_another_hub_id_may_name_a_revision() -> None:
    with pytest.raises(TranslationError, match="someone/model@refs/pr/2"):
        OpusMtTranslator("en", "es", model="someone/model@refs/pr/2")
