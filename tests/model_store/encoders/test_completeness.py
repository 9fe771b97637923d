"""An encoder is loaded whole, or refused with the names of what is wrong with it."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel

from model_store.encoders.base_encoders import parse_base_encoder
from model_store.encoders.completeness import token_limit
from model_store.errors import ConfigurationError
from tests.support.tiny_encoder import write_tiny_encoder, write_tiny_roberta

WEIGHTS = "model.safetensors"
Tensors = dict[str, Tensor]
EXAMPLES = settings(max_examples=25, deadline=None)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_encoder(tmp_path_factory.mktemp("whole") / "encoder")


@pytest.fixture(scope="module")
def tensors(whole: Path) -> Tensors:
    return load_file(whole / WEIGHTS)


@contextmanager
def copy_with(whole: Path, tensors: Tensors) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(shutil.copytree(whole, Path(name) / "encoder"))
        contiguous = {key: value.contiguous() for key, value in tensors.items()}
        save_file(contiguous, folder / WEIGHTS, metadata={"format": "pt"})
        yield folder


def refusal(whole: Path, tensors: Tensors) -> str:
    with copy_with(whole, tensors) as folder, pytest.raises(ConfigurationError) as error:
        parse_base_encoder(str(folder)).load()
    message = str(error.value)
    assert "\n" not in message
    return message


def loaded(whole: Path, tensors: Tensors) -> PreTrainedModel:
    with copy_with(whole, tensors) as folder:
        return parse_base_encoder(str(folder)).load()[0]


@EXAMPLES
@given(st.data())
def test_whatever_tensors_are_missing_it_is_refused_by_their_names(
    whole: Path, tensors: Tensors, data: st.DataObject
) -> None:
    gone = data.draw(st.lists(st.sampled_from(sorted(tensors)), min_size=1, unique=True))
    message = refusal(whole, {name: tensor for name, tensor in tensors.items() if name not in gone})
    assert f"{len(gone)} of the encoder's tensors are not in its files: {sorted(gone)[0]}" in message


@EXAMPLES
@given(st.data())
def test_renamed_tensors_are_refused_by_their_own_names(
    whole: Path, tensors: Tensors, data: st.DataObject
) -> None:
    renamed = data.draw(st.lists(st.sampled_from(sorted(tensors)), min_size=1, unique=True))
    prefix = data.draw(st.sampled_from(["_orig_mod.", "module.", "0.auto_model.", "base_model.model.", "ema_"]))
    assert sorted(renamed)[0] in refusal(
        whole, {(prefix if name in renamed else "") + name: tensor for name, tensor in tensors.items()}
    )


@EXAMPLES
@given(st.data())
def test_tensors_of_another_shape_are_refused_by_name_and_shape(
    whole: Path, tensors: Tensors, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(tensors)))
    change: Callable[[Tensor], Tensor] = data.draw(
        st.sampled_from(
            [
                lambda tensor: tensor[:-1],
                lambda tensor: torch.cat([tensor, tensor[:1]]),
                lambda tensor: tensor[None],
                lambda tensor: tensor.flatten()[:0],
            ]
        )
    )
    changed = change(tensors[name])
    message = refusal(whole, {**tensors, name: changed})
    assert (
        f"{name} ({' x '.join(map(str, changed.shape))}, expected {' x '.join(map(str, tensors[name].shape))})"
        in (message)
    )


ADDED = (
    "encoder.layer.2.output.dense.weight",
    "encoder.layer.0.output.adapters.en.adapter_down.0.weight",
    "encoder.layer.1.attention.self.query.lora_A",
    "encoder.layer.1.attention.self.query.weight_format",
    "embeddings.projection.weight",
    "invertible_adapters.en.F.0.weight",
    "prompt_encoder.default.embedding.weight",
)


@pytest.mark.parametrize("added", ADDED)
@pytest.mark.parametrize("prefix", ["", "bert."])
def test_what_would_be_left_out_of_the_encoder_is_refused(
    whole: Path, tensors: Tensors, added: str, prefix: str
) -> None:
    names = {f"{prefix}{name}": tensor for name, tensor in tensors.items()}
    place = added if added.startswith("invertible") else f"{prefix}{added}"
    message = refusal(whole, {**names, place: torch.ones(4)})
    assert f"1 tensors belong to no part of the encoder that its config.json describes: {added}" in message


@pytest.mark.parametrize(
    "added", ["pooler.dense.weight", "cls.predictions.bias", "classifier.weight", "embeddings.position_ids"]
)
@pytest.mark.parametrize("prefix", ["", "bert."])
def test_heads_and_counters_are_no_part_of_the_encoder(
    whole: Path, tensors: Tensors, added: str, prefix: str
) -> None:
    names = {f"{prefix}{name}": tensor for name, tensor in tensors.items()}
    place = f"{prefix}{added}" if added.startswith(("pooler", "embeddings")) else added
    found = loaded(whole, {**names, place: torch.ones(4)}).state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


def test_names_of_the_first_checkpoints_are_understood(whole: Path, tensors: Tensors) -> None:
    older = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in tensors.items()
    }
    found = loaded(whole, older).state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.int64, torch.bool, torch.float8_e4m3fn])
def test_quantised_tensors_are_refused(whole: Path, tensors: Tensors, kind: torch.dtype) -> None:
    name = "encoder.layer.0.output.dense.weight"
    assert f"no floating point numbers: {name}" in refusal(whole, {**tensors, name: tensors[name].to(kind)})


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_loaded_in_single(whole: Path, tensors: Tensors, kind: torch.dtype) -> None:
    found = loaded(whole, {name: tensor.to(kind) for name, tensor in tensors.items()}).state_dict()
    assert all(torch.equal(found[name], tensor.to(kind).float()) for name, tensor in tensors.items())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_finite_numbers_are_refused(whole: Path, tensors: Tensors, value: float) -> None:
    name = "embeddings.word_embeddings.weight"
    broken = tensors[name].clone()
    broken[-1, -1] = value
    assert f"not finite: {name}" in refusal(whole, {**tensors, name: broken})


def test_a_tensor_in_two_files_is_refused(whole: Path, tensors: Tensors) -> None:
    name = "embeddings.LayerNorm.bias"
    with copy_with(whole, tensors) as folder:
        (folder / WEIGHTS).rename(folder / "a.safetensors")
        save_file({name: tensors[name] + 1}, folder / "b.safetensors", metadata={"format": "pt"})
        places = {name: "b.safetensors" if name.endswith("beta") else "a.safetensors" for name in tensors}
        index = {"weight_map": {**places, name: "b.safetensors"}}
        (folder / f"{WEIGHTS}.index.json").write_text(json.dumps(index))
        with pytest.raises(
            ConfigurationError, match=rf"tensor {name} is in a\.safetensors and in b\.safetensors"
        ):
            parse_base_encoder(str(folder)).load()


_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 300), st.integers(), st.floats(allow_nan=True), st.text(max_size=9),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_the_configuration_says_it_is_that_encoder_or_a_refusal(
    whole: Path, tensors: Tensors, data: st.DataObject
) -> None:
    content = json.loads((whole / "config.json").read_text(encoding="utf-8"))
    content[data.draw(st.sampled_from(sorted(content)))] = data.draw(_VALUES)
    with copy_with(whole, tensors) as folder:
        (folder / "config.json").write_text(json.dumps(content))
        try:
            found = parse_base_encoder(str(folder)).load()[0].state_dict()
        except ConfigurationError as error:
            message = str(error)
        else:
            message = f"base encoder {folder}: whole"
            assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
    assert message.startswith(f"base encoder {folder}: ")
    assert "\n" not in message


SIZES = {
    "vocab_size": 50,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
}
TABLES = [
    ("Bert", {}, 40),
    ("Electra", {"embedding_size": 8}, 40),
    ("DistilBert", {"dim": 8, "n_heads": 2, "hidden_dim": 8, "n_layers": 1}, 40),
    ("Deberta", {"position_biased_input": True}, 40),
    ("DebertaV2", {"position_biased_input": True}, 40),
    ("Roberta", {"pad_token_id": 1}, 38),
    ("XLMRoberta", {"pad_token_id": 1}, 38),
    ("Camembert", {"pad_token_id": 1}, 38),
    ("MPNet", {}, 38),
    ("Roberta", {"pad_token_id": 5}, 34),
    ("XLMRoberta", {"pad_token_id": 0}, 39),
]
RELATIVE = [("Deberta", {"position_biased_input": False}), ("DebertaV2", {"position_biased_input": False}),
            ("ModernBert", {"pad_token_id": 0, "cls_token_id": 1, "sep_token_id": 2, "bos_token_id": 1,
                            "eos_token_id": 2})]  # fmt: skip


LIBRARY_S_OWN = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # they call what torch has replaced


def library_encoder(name: str, fields: dict[str, object], positions: int = 40) -> PreTrainedModel:
    configuration = getattr(transformers, f"{name}Config")(
        **{**SIZES, "max_position_embeddings": positions, **fields}
    )
    encoder: PreTrainedModel = getattr(transformers, f"{name}Model")(configuration)
    return encoder.eval()


@LIBRARY_S_OWN
@pytest.mark.parametrize(("name", "fields", "expected"), TABLES)
def test_so_many_tokens_fit_and_not_one_more(name: str, fields: dict[str, object], expected: int) -> None:
    encoder = library_encoder(name, fields)
    assert token_limit(encoder) == expected
    with torch.inference_mode():
        encoder(input_ids=torch.full((1, expected), 9))
        with pytest.raises((IndexError, RuntimeError)):
            encoder(input_ids=torch.full((1, expected + 1), 9))


@LIBRARY_S_OWN
@pytest.mark.parametrize(("name", "fields"), RELATIVE)
def test_with_relative_positions_it_is_the_length_of_training(name: str, fields: dict[str, object]) -> None:
    assert token_limit(library_encoder(name, fields)) == 40


@pytest.mark.parametrize("positions", [3, 4])
def test_positions_for_no_text_are_refused(positions: int) -> None:
    with pytest.raises(ConfigurationError, match=f"its positions hold {positions - 2} tokens"):
        token_limit(library_encoder("Roberta", {"pad_token_id": 1}, positions))


@pytest.mark.parametrize("family", ["roberta", "xlm-roberta"])
def test_a_text_as_long_as_allowed_is_encoded(tmp_path: Path, family: str) -> None:
    folder = write_tiny_roberta(tmp_path / "encoder", family, max_positions=66)
    encoder, _ = parse_base_encoder(str(folder)).load()
    assert token_limit(encoder) == 64


@pytest.mark.parametrize("padding", [None, 7000])
def test_a_padding_token_that_is_none_is_refused(tmp_path: Path, padding: int | None) -> None:
    folder = write_tiny_roberta(tmp_path / "encoder", "roberta", max_positions=66)
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "pad_token_id": padding}))
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        parse_base_encoder(str(folder)).load()
