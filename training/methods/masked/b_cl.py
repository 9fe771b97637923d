"""B-CL (Ke et al. 2021b): masked adapters that read task capsules by dynamic routing."""

from __future__ import annotations

from training.configuration import BclConfiguration
from training.methods.masked.adapter import DynamicRoutingAdapter
from training.methods.masked.capsules import TaskCapsules
from training.methods.masked.method import MaskedMethod


class Bcl(MaskedMethod):
    """Capsules share what marketplaces have in common and go on learning; masks protect what is one's own."""

    name = "b_cl"
    title = "B-CL"

    @property
    def settings(self) -> BclConfiguration:
        """As in `MaskedMethod`."""
        return self.context.configuration.b_cl

    def new_adapter(self, hidden_size: int) -> DynamicRoutingAdapter:
        """As in `MaskedMethod`."""
        settings = self.settings
        capsules = TaskCapsules(hidden_size, settings.capsule_size, settings.semantic_capsules)
        return DynamicRoutingAdapter(hidden_size, settings.bottleneck, capsules, settings.routing_iterations)
