from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from service.engine.backends.int8_linear import InputRange, Int8Linear, Quantization, largest_weight
from service.engine.backends.product_probes import torch_int8

needs_int8 = pytest.mark.skipif(torch_int8().problem is not None, reason=str(torch_int8().problem))
BITS = torch_int8().weight_bits


def uneven(rows: int, inputs: int, seed: int = 0) -> torch.Tensor:
    """Inputs of which two are far larger than the others, as layer norms of pretrained encoders give them."""
    hidden = torch.randn(rows, inputs, generator=torch.Generator().manual_seed(seed))
    hidden[:, 3] *= 40
    hidden[:, 7] = hidden[:, 7] * 5 - 30
    return hidden


def layer(outputs: int = 48, inputs: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(outputs, inputs, generator=generator) * 0.1
    weight[:, [3, 7]] *= 0.05
    return weight, torch.randn(outputs, generator=generator)


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).pow(2).mean().sqrt() / expected.std())


def test_a_range_is_of_every_input_and_grows() -> None:
    first = InputRange.of(torch.tensor([[[1.0, -2.0], [3.0, 0.0]]]))
    assert (first.low.tolist(), first.high.tolist()) == ([1.0, -2.0], [3.0, 0.0])
    joined = first.joined(InputRange.of(torch.tensor([[0.5, 4.0]])))
    assert (joined.low.tolist(), joined.high.tolist()) == ([0.5, -2.0], [3.0, 4.0])


def test_quantization_keeps_zero_and_rounds_to_the_next_step() -> None:
    quantize = Quantization(InputRange(torch.tensor([-1.0]), torch.tensor([3.0])), None)
    values = torch.linspace(-1, 3, 200)[:, None]
    meant = (quantize(values).float() - quantize.zero_point) * quantize.scale
    assert float((meant - values).abs().max()) <= quantize.scale / 2 + 1e-6
    assert quantize(torch.zeros(1, 1)).item() == quantize.zero_point


def test_there_is_headroom_at_both_ends() -> None:
    quantize = Quantization(InputRange(torch.tensor([-1.0]), torch.tensor([3.0])), None)
    values = torch.tensor([[-1.09], [3.25]])
    meant = (quantize(values).float() - quantize.zero_point) * quantize.scale
    torch.testing.assert_close(meant, values, atol=quantize.scale, rtol=0)


def test_what_lies_outside_becomes_the_end_of_the_range() -> None:
    quantize = Quantization(InputRange(torch.tensor([-1.0]), torch.tensor([1.0])), None)
    assert quantize(torch.tensor([[-1e6], [1e6]])).flatten().tolist() == [0, 255]


@pytest.mark.parametrize("bits", [7, 8])
def test_two_of_the_largest_products_fit_where_they_are_added(bits: int) -> None:
    assert (2 * 255 * largest_weight(bits) <= 32767) == (bits == 7)


@needs_int8
@pytest.mark.parametrize("bits", range(7, BITS + 1))
def test_a_few_large_inputs_do_not_cost_the_others_their_precision(bits: int) -> None:
    weight, bias = layer()
    hidden = uneven(200, 64)
    expected = functional.linear(hidden, weight, bias)
    found = InputRange.of(hidden)
    shared = relative_error(Int8Linear(weight, bias, found, weight_bits=bits)(hidden), expected)
    even = relative_error(Int8Linear(weight, bias, found, even=True, weight_bits=bits)(hidden), expected)
    assert shared < 0.03
    assert shared < 0.5 * even


@needs_int8
def test_activation_and_residual_are_taken_along() -> None:
    weight, bias = layer()
    hidden = uneven(50, 64).view(5, 10, 64)
    linear = Int8Linear(weight, bias, InputRange.of(hidden), weight_bits=BITS)
    plain = linear(hidden)
    torch.testing.assert_close(linear.gelu(hidden), functional.gelu(plain), atol=1e-4, rtol=1e-4)
    residual = torch.randn(5, 10, 48)
    torch.testing.assert_close(linear.added_to(residual, hidden), plain + residual, atol=1e-4, rtol=1e-4)


@needs_int8
def test_a_quantized_output_is_what_the_next_layer_reads() -> None:
    weight, bias = layer()
    hidden = uneven(50, 64)
    widened = functional.gelu(functional.linear(hidden, weight, bias))
    narrow_weight = torch.randn(16, 48) * 0.1
    narrow = Int8Linear(narrow_weight, None, InputRange.of(widened), even=True, weight_bits=BITS)
    wide = Int8Linear(weight, bias, InputRange.of(hidden), successor=narrow.quantize, weight_bits=BITS)
    assert wide.gelu(hidden).dtype == torch.uint8
    found = narrow.added_to(torch.zeros(50, 16), wide.gelu(hidden))
    assert relative_error(found, widened @ narrow_weight.T) < 0.05


@needs_int8
def test_a_row_gives_the_same_in_every_company() -> None:
    weight, bias = layer()
    hidden = uneven(64, 64)
    linear = Int8Linear(weight, bias, InputRange.of(hidden), weight_bits=BITS)
    together = linear(hidden)
    for row in (0, 5, 63):  # processors with AMX take another kernel for few rows, whose last bit differs
        torch.testing.assert_close(linear(hidden[row : row + 1])[0], together[row], rtol=0, atol=1e-6)
