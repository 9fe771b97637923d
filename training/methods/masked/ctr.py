"""CTR (Ke et al. 2021a): masked adapters that read task capsules by transfer routing."""

from __future__ import annotations

from training.configuration import CtrConfiguration
from training.methods.masked.adapter import TransferRoutingAdapter
from training.methods.masked.capsules import TaskCapsules
from training.methods.masked.method import MaskedMethod


class Ctr(MaskedMethod):
    """Every text decides which older marketplaces' capsules it takes; masks protect what is one's own."""

    name = "ctr"
    title = "CTR"

    @property
    def settings(self) -> CtrConfiguration:
        """As in `MaskedMethod`."""
        return self.context.configuration.ctr

    def new_adapter(self, hidden_size: int) -> TransferRoutingAdapter:
        """As in `MaskedMethod`."""
        settings = self.settings
        capsules = TaskCapsules(hidden_size, settings.capsule_size, settings.semantic_capsules)
        return TransferRoutingAdapter(hidden_size, settings.bottleneck, capsules, settings.channels)
