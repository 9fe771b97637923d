from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from service.engine import int8_products
from service.engine.int8_products import int8_is_exact, int8_is_faster


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    int8_is_exact.cache_clear()
    int8_is_faster.cache_clear()
    yield
    int8_is_exact.cache_clear()
    int8_is_faster.cache_clear()


def test_products_that_overflow_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    # Processors without VNNI add two products in 16 bits, of which the largest is 32,767.
    saturated = torch.full((16, 32), 32 * 32767.0)
    monkeypatch.setattr(int8_products, "_multiplied", lambda *_: saturated)
    assert not int8_is_exact()
    assert not int8_is_faster()


def test_a_torch_without_these_operators_is_served_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> torch.Tensor:
        raise AttributeError("no operator qlinear_prepack")

    monkeypatch.setattr(int8_products, "_packed", missing)
    assert not int8_is_exact()
    assert not int8_is_faster()


def test_products_no_faster_than_bf16_are_not_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8_products, "int8_is_exact", lambda: True)
    monkeypatch.setattr(int8_products, "_int8_product", lambda: lambda: torch.zeros(1))
    seconds = iter([0.8, 2.0, 1.0, 0.6, 2.0, 1.0])
    monkeypatch.setattr(int8_products, "_seconds", lambda _: next(seconds))
    assert not int8_is_faster()
    int8_is_faster.cache_clear()
    assert int8_is_faster()
