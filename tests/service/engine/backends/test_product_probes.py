from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from model_store.network.fast_products import onednn_problem
from service.engine.backends import onnx_graph, product_probes
from service.engine.backends.int8_linear import largest_weight
from service.engine.backends.onnx_graph import integer_product
from service.engine.backends.product_probes import Int8Products, bf16_problem, onnx_int8, onnx_problem, torch_int8

SHORT = np.iinfo(np.int16)


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    torch_int8.cache_clear()
    onnx_int8.cache_clear()
    yield
    torch_int8.cache_clear()
    onnx_int8.cache_clear()


def added_in_16_bits(inputs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """As processors without VNNI do it: pairs of products are added in 16 bits, which ends at 32,767."""
    wide = inputs.astype(np.int64)[:, :, None] * weights.astype(np.int64)[None]
    pairs = (wide[:, 0::2] + wide[:, 1::2]).clip(SHORT.min, SHORT.max)
    return np.asarray(pairs.sum(1), dtype=np.float32)


@pytest.mark.parametrize("probed", [torch_int8, onnx_int8])
def test_this_machine_has_a_size_of_weights_with_which_products_are_exact(probed: object) -> None:
    found = probed()  # type: ignore[operator]
    assert found.problem is None
    assert found.weight_bits in (7, 8)


def test_the_products_that_were_found_exact_are_exact_on_other_numbers() -> None:
    generator = np.random.default_rng(0)
    largest = largest_weight(onnx_int8().weight_bits)
    inputs = generator.integers(0, 256, (33, 130), dtype=np.uint8)
    inputs[:, :100] = 255
    weights = generator.integers(-largest, largest + 1, (130, 17), dtype=np.int8)
    expected = inputs.astype(np.int64) @ weights.astype(np.int64)
    np.testing.assert_allclose(integer_product(inputs, weights), expected, rtol=1e-6, atol=0.5)


@pytest.mark.parametrize(
    ("module", "name"), [(product_probes, "_torch_product"), (onnx_graph, "integer_product")]
)
def test_where_pairs_of_products_overflow_weights_have_7_bits(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str
) -> None:
    monkeypatch.setattr(module, name, added_in_16_bits)
    probed = torch_int8 if module is product_probes else onnx_int8
    assert probed() == Int8Products(weight_bits=7)


def test_products_that_are_wrong_in_7_bits_too_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(inputs: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return np.zeros((len(inputs), weights.shape[1]), dtype=np.float32)

    monkeypatch.setattr(product_probes, "_torch_product", wrong)
    monkeypatch.setattr(onnx_graph, "integer_product", wrong)
    assert torch_int8().problem == "torch's int8 products are wrong on this processor"
    assert onnx_int8().problem == "ONNX Runtime's int8 products are wrong on this processor"


def test_a_torch_without_these_operators_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> torch.Tensor:
        raise AttributeError("no operator qlinear_prepack")

    monkeypatch.setattr(product_probes, "packed_weight", missing)
    assert torch_int8().problem == "torch has no int8 products here (no operator qlinear_prepack)"


def test_onnx_runtime_that_is_not_installed_is_said_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product_probes, "find_spec", lambda name: None if name == "onnx" else object())
    assert onnx_problem() == "not installed, pip install onnx"


def test_a_cpu_has_bf16_where_onednn_has() -> None:
    assert bf16_problem("cpu") == onednn_problem(torch.bfloat16)
    assert onednn_problem(torch.float32) is None
