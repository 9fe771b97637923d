from __future__ import annotations

import pytest

from model_store.errors import CacheUnavailableError, InputError, RelevanceError
from service.fill.ray_outcome import PartFailure


@pytest.mark.parametrize("error", [InputError("no such file", source="c.tsv"), CacheUnavailableError("away")])
def test_an_error_of_an_actor_is_raised_as_what_it_was(error: RelevanceError) -> None:
    raised = PartFailure.of(error).error()
    assert type(raised) is type(error)
    assert str(raised) == str(error)


def test_any_other_exception_is_named() -> None:
    raised = PartFailure.of(KeyError("us")).error()
    assert type(raised) is RelevanceError
    assert str(raised) == "a scoring actor failed with KeyError: 'us'"
