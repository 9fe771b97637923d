from __future__ import annotations

import pytest
import torch
from torch import nn

from model_store.fast_dropout import FastDropout, fast_dropout, replace_dropout


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_drops_at_the_rate_and_keeps_the_mean(rate: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    found = fast_dropout(torch.ones(301, 1001, dtype=dtype), rate)
    assert found.dtype == dtype
    assert float((found == 0).float().mean()) == pytest.approx(rate, abs=0.003)
    assert float(found.float().mean()) == pytest.approx(1.0, abs=0.03)
    # No column or row is favoured.
    assert float((found == 0).float().mean(0).std()) < 2 * (rate * (1 - rate) / 301) ** 0.5


def test_what_was_dropped_gets_no_gradient() -> None:
    hidden = torch.ones(64, 64, requires_grad=True)
    found = fast_dropout(hidden, 0.3)
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert hidden.grad is not None
    assert torch.equal(hidden.grad, found.detach())


def test_a_seed_gives_the_same_again() -> None:
    def drawn() -> torch.Tensor:
        torch.manual_seed(3)
        return fast_dropout(torch.ones(5, 7), 0.4)

    assert torch.equal(drawn(), drawn())


def test_nothing_is_dropped_outside_of_training_or_at_rate_zero() -> None:
    hidden = torch.randn(4, 4)
    assert FastDropout(0.5).eval()(hidden) is hidden
    assert fast_dropout(hidden, 0.0) is hidden
    assert int((fast_dropout(hidden, 1.0) != 0).sum()) == 0


def test_a_networks_dropouts_are_replaced() -> None:
    network = nn.Sequential(nn.Dropout(0.2), nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.3)))
    replace_dropout(network)
    rates = [module.p for module in network.modules() if isinstance(module, FastDropout)]
    assert rates == [0.2, 0.3]
