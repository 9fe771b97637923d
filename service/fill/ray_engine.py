"""The engine behind `--engine ray`."""

from __future__ import annotations

from functools import partial

from service.fill.fill_engine import FillEngine
from service.fill.ray_options import RayOptions, reached_redis
from service.settings import ServiceSettings


def ray_engine(options: RayOptions, settings: ServiceSettings) -> FillEngine:
    """Fills on a Ray cluster.

    Raises:
        ConfigurationError: Ray is not installed, or there is no server that all machines reach.
    """
    reached_redis(settings)
    from service.fill.ray_pass import RayPass

    return FillEngine("ray", partial(RayPass, options=options))
