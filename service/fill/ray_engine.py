"""The engine behind `--engine ray`."""

from __future__ import annotations

from functools import partial

from service.fill.distributed.options import RayOptions, reached_redis
from service.fill.fill_engine import FillEngine
from service.settings import ServiceSettings


def ray_engine(options: RayOptions, settings: ServiceSettings) -> FillEngine:
    """Fills on a Ray cluster.

    Raises:
        ConfigurationError: Ray is not installed, or there is no server that all machines reach.
    """
    reached_redis(settings)
    from service.fill.distributed.scan import RayPass

    return FillEngine("ray", partial(RayPass, options=options))
