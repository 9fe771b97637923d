from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_store.errors import ConfigurationError
from training.configuration import load_configuration, parse_overrides, presets
from training.languages import language_of


@pytest.mark.parametrize("name", presets())
def test_every_preset_is_valid(name: str) -> None:
    assert load_configuration(name).seed == 0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("n", "n"),
        ("y", "y"),
        ("No", "No"),
        ("true", True),
        ("False", False),
        ("trueish", "trueish"),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("1_000", 1000),
        ("007", "007"),
        ("12:30", "12:30"),
        ("0x10", "0x10"),
        ("1.5", 1.5),
        ("2.0e-3", 0.002),
        ("2024-01-01", "2024-01-01"),
        ("[no, 1]", ["no", 1]),
        ("{us: no}", {"us": "no"}),
        ("'1'", "1"),
        ("packaged:4", "packaged:4"),
    ],
)
def test_words_are_texts_but_for_true_false_and_null(text: str, value: object) -> None:
    overrides = parse_overrides([f"field={text}"])
    assert overrides == {"field": value}
    assert type(overrides["field"]) is type(value)


def test_norwegian_is_a_language_on_the_command_line_and_in_a_file(tmp_path: Path) -> None:
    found = load_configuration("quickstart", parse_overrides(["languages.shop1=no"]))
    assert found.languages == {"shop1": "no"}
    (tmp_path / "own.yaml").write_text("languages: {shop1: no, no: no}\n")
    assert load_configuration(str(tmp_path / "own.yaml")).languages == {"shop1": "no", "no": "no"}


def test_the_advice_for_a_name_that_tells_no_language_works() -> None:
    with pytest.raises(ConfigurationError) as refused:
        language_of("zz")
    advice = re.search(r"--set (\S+)", str(refused.value))
    assert advice
    languages = load_configuration("quickstart", parse_overrides([advice[1]])).languages
    assert language_of("zz", languages) == "en"


@given(st.text(max_size=30), st.text(max_size=60))
def test_whatever_is_set_gives_a_value_or_a_refusal(name: str, text: str) -> None:
    with suppress(ConfigurationError):  # any other error fails
        load_configuration("quickstart", parse_overrides([f"{name}={text}"]))


_NUMBERS = ("adapter_stage.learning_rate", "adapter_stage.weight_decay", "distillation.weight", "anchors.weight",
            "value_regularisation", "dytox.divergence_weight", "hat.max_scale", "checkpoint_seconds")  # fmt: skip


@pytest.mark.parametrize("field", _NUMBERS)
@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan", "1e999", "inf", "nan"])
def test_a_number_is_finite(field: str, number: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{field}: Input should be"):
        load_configuration("quickstart", parse_overrides([f"{field}={number}"]))


def test_the_paper_preset_is_table_3() -> None:
    paper = load_configuration("paper")
    assert paper.base_encoder == "hub:bert-base-multilingual-uncased"
    assert paper.pair_encoding.interaction == "cross"
    assert paper.head.kind == "linear"
    assert paper.adapter.bottleneck == 32
    assert paper.translation == "opus_mt"
    assert paper.translated_share == 0.3
    for stage in (paper.adapter_stage, paper.fusion_stage):
        assert (stage.batch_size, stage.learning_rate, stage.epochs) == (512, 5e-5, 5)
        assert (stage.weight_decay, stage.adam_epsilon, stage.gradient_clipping) == (0.0, 1e-8, 0.1)


def test_the_paper_s_adapter_in_mbert_has_0_59_million_weights() -> None:
    assert 12 * 2 * 768 * load_configuration("paper").adapter.bottleneck == 589_824


def test_a_field_can_be_set_by_its_dotted_name() -> None:
    configuration = load_configuration(
        "quickstart", parse_overrides(["adapter_stage.epochs=2", "head.policy=per_step"])
    )
    assert configuration.adapter_stage.epochs == 2
    assert configuration.adapter_stage.batch_size == load_configuration("quickstart").adapter_stage.batch_size
    assert configuration.head.policy == "per_step"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["adapter_stage.epoch=2"], r"adapter_stage.epoch: Extra inputs"),
        (["adapter_stage.epochs=none"], r"adapter_stage.epochs: Input should be a valid integer"),
        (["adapter_stage.epochs=0"], r"greater than or equal to 1"),
        (["head.kind=linear"], r"needs pair_encoding.interaction 'cross' or 'late\(k\)'"),
        (["pair_encoding.interaction=late(0)"], r"'late\(k\)' with k joint layers"),
        (["distillation.on_new_data=true"], r"uses no translation"),
        (
            ["distillation.on_new_data=true", "translation=none", "distillation.own_adapter=1"],
            r"to the older adapters, and distillation.own_adapter to the new one",
        ),
        (["seed"], r"write it as field=value"),
    ],
)
def test_a_wrong_field_is_named(settings: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_configuration("quickstart", parse_overrides(settings))


def test_an_unknown_preset_lists_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match="paper, quickstart, small, standard"):
        load_configuration("papper")


def test_a_file_of_one_s_own_is_a_preset(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("base_encoder: folder:somewhere\nadapter: {bottleneck: 16}\n")
    assert load_configuration(str(path)).adapter.bottleneck == 16
    path.write_text("- no\n- mapping\n")
    with pytest.raises(ConfigurationError, match=r"mine.yaml: holds no fields"):
        load_configuration(str(path))
