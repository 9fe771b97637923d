"""The engine behind `--engine ray`."""

from __future__ import annotations

from functools import partial

from service.fill.fill_engine import FillEngine
from service.fill.ray_options import RayOptions


def ray_engine(options: RayOptions) -> FillEngine:
    """Fills on a Ray cluster.

    Raises:
        ConfigurationError: Ray is not installed.
    """
    from service.fill.ray_pass import RayPass

    return FillEngine("ray", partial(RayPass, options=options))
