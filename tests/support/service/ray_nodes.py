"""Nodes of a Ray cluster on this machine, each with one core, any of which can be killed."""

from __future__ import annotations

import warnings
from types import TracebackType
from typing import Any


class RayNodes:
    """A head, on which nothing is scored, and the nodes that are added; all are killed in the end."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from ray.cluster_utils import Cluster

        self._cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 0, "include_dashboard": False},
        )

    @property
    def address(self) -> str:
        """Of the cluster."""
        return str(self._cluster.address)

    def add(self) -> Any:
        """One more node."""
        return self._cluster.add_node(num_cpus=1)

    def kill(self, node: Any) -> None:
        """As when a machine goes away: its processes are killed, nothing is told to the cluster."""
        self._cluster.remove_node(node, allow_graceful=False)

    def __enter__(self) -> RayNodes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cluster.shutdown()
