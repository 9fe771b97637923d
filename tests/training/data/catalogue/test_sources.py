from __future__ import annotations

import pytest

from model_store.errors import InputError
from training.data.sources import parse_source


def test_the_catalogue_generates_what_is_asked_for() -> None:
    source = parse_source("catalogue:30")
    marketplace = source.available()[0]
    pairs = source.load([marketplace], 0)
    assert [pair.marketplace for pair in pairs[marketplace]] == [marketplace] * 30
    assert source.load([marketplace], 0) == pairs


def test_a_marketplace_that_the_catalogue_lacks_lists_those_available() -> None:
    source = parse_source("catalogue")
    listed = ", ".join(source.available())
    with pytest.raises(InputError, match=f"catalogue: no marketplace 'xx'; available are {listed}"):
        source.load(["xx"], 0)
