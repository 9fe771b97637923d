"""How a fill is spread over a Ray cluster; without Ray, which is only imported where a fill asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from model_store.errors import ConfigurationError
from service.settings import ServiceSettings

FillEngineName = Literal["local", "ray"]


@dataclass(frozen=True, slots=True)
class RayOptions:
    """Where and by how many actors is scored.

    Args:
        address: of the cluster, as HOST:PORT or `auto`; None starts Ray on this machine for the time of the fill.
        actors: how many score; None takes as many as the cluster has room for.
        actor_cpus: cores, and threads, of each.
        actor_gpus: GPUs of each.

    Raises:
        ConfigurationError: a number is too small.
    """

    address: str | None = None
    actors: int | None = None
    actor_cpus: int = 1
    actor_gpus: int = 0

    def __post_init__(self) -> None:
        if self.actors is not None and self.actors < 1:
            raise ConfigurationError(f"--ray-actors: {self.actors} cannot score; give at least 1")
        if self.actor_cpus < 1 or self.actor_gpus < 0:
            raise ConfigurationError("--ray-actor-cpus is at least 1, --ray-actor-gpus at least 0")

    def actors_within(self, cpus: float, gpus: float) -> int:
        """How many score on a cluster with so many cores and GPUs.

        Raises:
            ConfigurationError: not even one.
        """
        room = int(cpus // self.actor_cpus)
        if self.actor_gpus:
            room = min(room, int(gpus // self.actor_gpus))
        if not room:
            raise ConfigurationError(
                f"the Ray cluster has {cpus:g} cores and {gpus:g} GPUs, an actor needs {self.actor_cpus} and "
                f"{self.actor_gpus}; start nodes, or lower --ray-actor-cpus or --ray-actor-gpus"
            )
        return self.actors or room


def reached_redis(settings: ServiceSettings) -> str:
    """The server to which all machines write.

    Raises:
        ConfigurationError: the settings name none; the embedded one is of one machine.
    """
    if settings.redis_url is None:
        raise ConfigurationError(
            "--engine ray: actors on other machines write to the cache; set REDIS_URL to a server that all of "
            "them reach"
        )
    return settings.redis_url
