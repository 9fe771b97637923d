from __future__ import annotations

import math

import pytest

from model_store.errors import ConfigurationError
from service.fill.options import FillOptions


@pytest.mark.parametrize("coverage", [0.0, -0.1, 1.0001, math.nan, math.inf])
def test_a_coverage_that_is_no_share_names_the_option(coverage: float) -> None:
    with pytest.raises(ConfigurationError, match="--coverage: "):
        FillOptions(coverage=coverage)


def test_everything_may_be_covered() -> None:
    assert FillOptions(coverage=1).coverage == 1
