from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import BertModel

from model_store.encoding.batch import QUERY_SEGMENT
from model_store.errors import VersionCorruptError
from model_store.network.configuration import HeadConfiguration
from model_store.network.interaction import AttentionMaps, Route
from model_store.network.relevance_network import RelevanceNetwork
from model_store.versions.weights import (
    load_adapter,
    load_fusion,
    load_heads,
    save_adapter,
    save_fusion,
    save_heads,
)
from tests.support.networks import random_network, tokenizer_of
from tests.support.tiny_encoder import write_tiny_encoder

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own imports warn
        import adapters
except ImportError:
    adapters = None

NEEDS_LIBRARY = pytest.mark.skipif(
    adapters is None, reason="the library adapters, of transformers 4.57, is not installed"
)

MARKETPLACES = ("us", "es", "jp")


def library_model(folder: Path) -> BertModel:
    model = BertModel.from_pretrained(folder, add_pooling_layer=False)
    adapters.init(model)
    return model.eval()


def hidden_states(network: RelevanceNetwork, folder: Path, route: Route) -> tuple[torch.Tensor, torch.Tensor]:
    tokenizer = tokenizer_of(folder, network.pair_encoding)
    texts = tokenizer.single_texts([[20, 30, 40, 50], [21, 31]], QUERY_SEGMENT)
    with torch.no_grad():
        return network.encode_texts(texts, route)[texts.mask], texts.token_ids


def library_states(model: BertModel, token_ids: torch.Tensor) -> torch.Tensor:
    mask = token_ids != 0
    with torch.no_grad():
        hidden: torch.Tensor = model(input_ids=token_ids, attention_mask=mask.long()).last_hidden_state
        return hidden[mask]


@NEEDS_LIBRARY
def test_single_adapter_equals_the_library_s_on_our_files(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    network = random_network(tiny_encoder_folder, MARKETPLACES)
    save_adapter(network, "us", tmp_path / "us")
    model = library_model(tiny_encoder_folder)
    model.load_adapter(str(tmp_path / "us"), use_safetensors=True)
    model.set_active_adapters("us")
    ours, token_ids = hidden_states(network, tiny_encoder_folder, Route(("us",)))
    plain, _ = hidden_states(network, tiny_encoder_folder, Route())
    torch.testing.assert_close(ours, library_states(model, token_ids), atol=1e-5, rtol=1e-5)
    assert (ours - plain).abs().max() > 0.1


def library_model_of(network: RelevanceNetwork, encoder: Path, folder: Path) -> BertModel:
    """The library's model with the fusion that we wrote to files."""
    model = library_model(encoder)
    for name in MARKETPLACES:
        save_adapter(network, name, folder / name)
        model.load_adapter(str(folder / name), use_safetensors=True)
    save_fusion(network, "step", MARKETPLACES, folder / "fusion")
    model.load_adapter_fusion(str(folder / "fusion"), use_safetensors=True)
    model.set_active_adapters(adapters.Fuse(*MARKETPLACES, name="step"))
    return model


@NEEDS_LIBRARY
def test_fusion_equals_the_library_s_on_our_files(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    network = random_network(tiny_encoder_folder, MARKETPLACES)
    model = library_model_of(network, tiny_encoder_folder, tmp_path)
    ours, token_ids = hidden_states(network, tiny_encoder_folder, Route(MARKETPLACES, "step"))
    single, _ = hidden_states(network, tiny_encoder_folder, Route(("us",)))
    torch.testing.assert_close(ours, library_states(model, token_ids), atol=1e-4, rtol=1e-4)
    assert (ours - single).abs().max() > 0.1


@NEEDS_LIBRARY
def test_fusion_gradients_equal_the_library_s(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    network = random_network(tiny_encoder_folder, MARKETPLACES)
    model = library_model_of(network, tiny_encoder_folder, tmp_path)
    texts = tokenizer_of(tiny_encoder_folder, network.pair_encoding).single_texts([[20, 30, 40]], QUERY_SEGMENT)
    weights = torch.randn(texts.token_ids.shape[1], 32)
    torch.autograd.backward((network.encode_texts(texts, Route(MARKETPLACES, "step"))[0] * weights).sum())
    (model(input_ids=texts.token_ids).last_hidden_state[0] * weights).sum().backward()
    for number, ours in enumerate(network.fusion_modules("step")):
        theirs = model.encoder.layer[number].output.adapter_fusion_layer["step"]
        for part in ("query.weight", "query.bias", "key.weight", "value.weight"):
            expected = theirs.get_parameter(part).grad
            torch.testing.assert_close(ours.get_parameter(part).grad, expected, atol=1e-4, rtol=1e-3)


@NEEDS_LIBRARY
def test_files_of_the_library_load_here(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    model = library_model(tiny_encoder_folder)
    for name in MARKETPLACES:
        model.add_adapter(name, config=adapters.SeqBnConfig(reduction_factor=4))
    model.add_adapter_fusion(adapters.Fuse(*MARKETPLACES, name="theirs"))
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "adapter" in key:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    model.eval()
    for name in MARKETPLACES:
        model.save_adapter(str(tmp_path / name), name, use_safetensors=True)
    model.save_adapter_fusion(str(tmp_path / "fusion"), "theirs", use_safetensors=True)
    model.set_active_adapters(adapters.Fuse(*MARKETPLACES, name="theirs"))
    network = random_network(tiny_encoder_folder, (), seed=5)
    for name in MARKETPLACES:
        load_adapter(network, name, tmp_path / name)
    assert load_fusion(network, "loaded", tmp_path / "fusion") == MARKETPLACES
    ours, token_ids = hidden_states(network, tiny_encoder_folder, Route(MARKETPLACES, "loaded"))
    torch.testing.assert_close(ours, library_states(model, token_ids), atol=1e-4, rtol=1e-4)


KINDS_OF_THE_LIBRARY = (
    "seq_bn_inv",
    "double_seq_bn",
    "double_seq_bn_inv",
    "par_bn",
    "scaled_par_bn",
    "compacter[reduction_factor=8]",
    "lora",
    "ia3",
    "prefix_tuning",
    "loreft",
    "unipelt",
    "mam",
    "prompt_tuning",
)


@NEEDS_LIBRARY
@pytest.mark.parametrize("kind", KINDS_OF_THE_LIBRARY)
def test_every_other_kind_of_the_library_is_refused_and_changes_nothing(
    tiny_encoder_folder: Path, tmp_path: Path, kind: str
) -> None:
    model = library_model(tiny_encoder_folder)
    model.add_adapter("theirs", config=kind)
    model.save_adapter(str(tmp_path / "theirs"), "theirs")  # some share tensors, which safetensors does not write
    network = random_network(tiny_encoder_folder, ("us",))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(VersionCorruptError, match=r"adapter_config\.json: .* only Pfeiffer adapters \(seq_bn\)"):
        load_adapter(network, "es", tmp_path / "theirs")
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


@NEEDS_LIBRARY
def test_a_static_fusion_of_the_library_is_refused(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    model = library_model(tiny_encoder_folder)
    for name in MARKETPLACES:
        model.add_adapter(name, config="seq_bn")
    model.add_adapter_fusion(adapters.Fuse(*MARKETPLACES, name="theirs"), "static")
    model.save_adapter_fusion(str(tmp_path / "fusion"), "theirs", use_safetensors=True)
    with pytest.raises(VersionCorruptError, match="value is False; only dynamic fusions can be loaded"):
        load_fusion(random_network(tiny_encoder_folder, MARKETPLACES), "loaded", tmp_path / "fusion")


def test_attention_of_a_fusion_sums_to_one_and_reaches_every_layer(tiny_encoder_folder: Path) -> None:
    network = random_network(tiny_encoder_folder, MARKETPLACES)
    tokenizer = tokenizer_of(tiny_encoder_folder, network.pair_encoding)
    texts = tokenizer.single_texts([[20, 30], [21]], QUERY_SEGMENT)
    maps = AttentionMaps()
    network.encode_texts(texts, Route(MARKETPLACES, "step"), maps)
    assert [attention.shape for attention in maps.log_attention] == [(2, 4, 3), (2, 4, 3)]
    sums = maps.log_attention[0].exp().sum(-1)
    torch.testing.assert_close(sums[maps.masks[0]], torch.ones(7))


def test_other_kinds_of_adapter_are_refused(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    network = random_network(tiny_encoder_folder, ("us",))
    save_adapter(network, "us", tmp_path / "us")
    path = tmp_path / "us" / "adapter_config.json"
    content = json.loads(path.read_text())
    content["config"]["mh_adapter"] = True
    path.write_text(json.dumps(content))
    with pytest.raises(VersionCorruptError, match=r"adapter_config.json: mh_adapter is True"):
        load_adapter(network, "us", tmp_path / "us")


def test_a_truncated_weight_file_is_named(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    network = random_network(tiny_encoder_folder, ("us",))
    save_adapter(network, "us", tmp_path / "us")
    path = tmp_path / "us" / "adapter.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(VersionCorruptError, match=r"adapter.safetensors"):
        load_adapter(network, "us", tmp_path / "us")


Read = Callable[[RelevanceNetwork, Path], object]
NAMES = ("us", "es")
KINDS: dict[str, tuple[str, Read]] = {
    "adapter": ("adapter.safetensors", lambda network, folder: load_adapter(network, "us", folder)),
    "fusion": ("model_adapter_fusion.safetensors", lambda network, folder: load_fusion(network, "step", folder)),
    "head": ("head.safetensors", lambda network, folder: load_heads(network.heads, folder / "head.safetensors")),
}
EXAMPLES = settings(max_examples=30, deadline=None)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder") / "tiny")


@pytest.fixture(scope="module")
def saved(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("saved")
    network = random_network(encoder, NAMES)
    network.heads.add("es")
    save_adapter(network, "us", root / "adapter")
    save_fusion(network, "step", NAMES, root / "fusion")
    save_heads(network.heads, root / "head" / "head.safetensors")
    return root


@pytest.fixture(scope="module")
def network(encoder: Path) -> RelevanceNetwork:
    """What is read into; none of the refused files may change it."""
    return random_network(encoder, NAMES, seed=9)


@contextmanager
def copy_of(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(shutil.copytree(folder, Path(name) / "copy"))


def refusal(network: RelevanceNetwork, saved: Path, kind: str, tensors: dict[str, Tensor]) -> str:
    file, read = KINDS[kind]
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with copy_of(saved / kind) as folder:
        save_file({key: value.contiguous() for key, value in tensors.items()}, folder / file)
        with pytest.raises(VersionCorruptError) as error:
            read(network, folder)
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert file in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("kind", KINDS)
@EXAMPLES
@given(data=st.data())
def test_a_missing_tensor_is_named(
    saved: Path, network: RelevanceNetwork, kind: str, data: st.DataObject
) -> None:
    tensors = load_file(saved / kind / KINDS[kind][0])
    gone = data.draw(st.sampled_from(sorted(tensors)))
    del tensors[gone]
    assert f"holds no tensor {gone}" in refusal(network, saved, kind, tensors)


@pytest.mark.parametrize("kind", KINDS)
@EXAMPLES
@given(data=st.data())
def test_a_tensor_that_has_no_place_is_named(
    saved: Path, network: RelevanceNetwork, kind: str, data: st.DataObject
) -> None:
    tensors = load_file(saved / kind / KINDS[kind][0])
    name = data.draw(
        st.one_of(
            st.sampled_from(["invertible_adapters.us.F.0.weight", "shared_parameters.phm_rule", "head.weight"]),
            st.sampled_from(sorted(tensors)).map(lambda name: f"{name}.gate"),
            st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=1, max_size=20),
        ).filter(lambda name: name not in tensors and not name.startswith(("weights.", "biases.")))
    )
    assert name in refusal(network, saved, kind, {**tensors, name: torch.ones(3)})


@pytest.mark.parametrize("kind", KINDS)
@EXAMPLES
@given(data=st.data())
def test_a_tensor_of_another_shape_is_named(
    saved: Path, network: RelevanceNetwork, kind: str, data: st.DataObject
) -> None:
    tensors = load_file(saved / kind / KINDS[kind][0])
    name = data.draw(st.sampled_from(sorted(tensors)))
    change = data.draw(st.sampled_from([lambda t: t[:0], lambda t: t[None], lambda t: torch.cat([t, t])]))
    assert name in refusal(network, saved, kind, {**tensors, name: change(tensors[name])})


def test_a_head_of_another_form_is_refused(encoder: Path, saved: Path) -> None:
    linear = random_network(encoder, NAMES, interaction="cross", head=HeadConfiguration(kind="linear"))
    with pytest.raises(VersionCorruptError, match=r"weights\.es of shape \(129,\) is no head"):
        load_heads(linear.heads, saved / "head" / "head.safetensors")


CHANGED_KIND = {
    "adapter": {
        "inv_adapter": "nice",
        "mh_adapter": True,
        "non_linearity": "swish",
        "is_parallel": True,
        "scaling": "learned",
        "use_gating": True,
        "phm_layer": True,
        "ln_after": True,
        "ln_before": True,
        "residual_before_ln": False,
        "adapter_residual_before_ln": True,
        "cross_adapter": True,
        "architecture": "lora",
        "leave_out": [1],
        "original_ln_before": None,
        "something_new": {"on": True},
    },
    "fusion": {
        "value": False,
        "query_before_ln": True,
        "temperature": True,
        "residual_before": True,
        "key": False,
        "value_before_softmax": False,
        "architecture": "static",
    },
}


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [(kind, *item) for kind, fields in CHANGED_KIND.items() for item in fields.items()],
)
def test_another_kind_is_refused_by_its_field(
    saved: Path, network: RelevanceNetwork, kind: str, field: str, value: object
) -> None:
    with copy_of(saved / kind) as folder:
        edit(folder, **{field: value})
        with pytest.raises(VersionCorruptError, match=rf"_config\.json: {field} is .* can be loaded"):
            KINDS[kind][1](network, folder)


@pytest.mark.parametrize("field", ["dropout", "init_weights", "phm_dim", "stochastic_depth"])
def test_how_an_adapter_was_trained_is_no_other_kind(saved: Path, network: RelevanceNetwork, field: str) -> None:
    with copy_of(saved / "adapter") as folder:
        edit(folder, **{field: 0.25})
        load_adapter(network, "us", folder)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", "null", '{"config": []}', '{"config": {}}', '{"config": {}, "name": 3}', "[" * 90_000],
)
@pytest.mark.parametrize("kind", ["adapter", "fusion"])
def test_a_configuration_that_is_none_is_refused(
    saved: Path, network: RelevanceNetwork, kind: str, content: str
) -> None:
    with copy_of(saved / kind) as folder:
        next(folder.glob("*_config.json")).write_text(content)
        with pytest.raises(VersionCorruptError, match=r"_config\.json: "):
            KINDS[kind][1](network, folder)


@pytest.mark.parametrize("names", [None, "us", [1, 2], {"us": "es"}])
def test_a_fusion_of_nobody_is_refused(saved: Path, network: RelevanceNetwork, names: object) -> None:
    with copy_of(saved / "fusion") as folder:
        path = folder / "adapter_fusion_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "adapter_names": names}))
        with pytest.raises(VersionCorruptError, match="adapter_names is no list of names"):
            load_fusion(network, "step", folder)


def edit(folder: Path, **fields: object) -> None:
    path = next(folder.glob("*_config.json"))
    content = json.loads(path.read_text())
    content["config"].update(fields)
    path.write_text(json.dumps(content))
