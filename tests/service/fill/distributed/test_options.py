from __future__ import annotations

import pytest

from model_store.errors import ConfigurationError
from service.fill.distributed.options import RayOptions


def test_there_are_as_many_actors_as_there_is_room_for() -> None:
    assert RayOptions(actor_cpus=4).actors_within(cpus=34, gpus=0) == 8
    assert RayOptions(actor_cpus=4, actor_gpus=1).actors_within(cpus=34, gpus=3) == 3
    assert RayOptions(actors=2).actors_within(cpus=34, gpus=0) == 2


def test_a_cluster_without_room_is_told_of() -> None:
    with pytest.raises(ConfigurationError, match="8 cores and 0 GPUs, an actor needs 1 and 1"):
        RayOptions(actor_gpus=1).actors_within(cpus=8, gpus=0)


@pytest.mark.parametrize("options", [{"actors": 0}, {"actor_cpus": 0}, {"actor_gpus": -1}])
def test_numbers_without_sense_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="--ray-actor"):
        RayOptions(**options)  # type: ignore[arg-type]
