"""Adapters, fusions and heads are read whole, or refused with the name of the tensor that is wrong."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from model_store.errors import VersionCorruptError
from model_store.network.configuration import HeadConfiguration
from model_store.network.relevance_network import RelevanceNetwork
from model_store.versions.weights import (
    load_adapter,
    load_fusion,
    load_heads,
    save_adapter,
    save_fusion,
    save_heads,
)
from tests.support.models.networks import random_network
from tests.support.models.tiny_encoder import write_tiny_encoder

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
