"""HAT (Serra et al. 2018) for text pairs: hard attention to the task over adapters in every layer."""

from __future__ import annotations

from training.configuration import MaskedConfiguration
from training.methods.masked.adapter import MaskedAdapter
from training.methods.masked.method import MaskedMethod


class Hat(MaskedMethod):
    """Masked adapters, and nothing shared without a mask: an older marketplace's scores stay as they were."""

    name = "hat"
    title = "HAT"

    @property
    def settings(self) -> MaskedConfiguration:
        """As in `MaskedMethod`."""
        return self.context.configuration.hat

    def new_adapter(self, hidden_size: int) -> MaskedAdapter:
        """As in `MaskedMethod`."""
        return MaskedAdapter(hidden_size, self.settings.bottleneck)
