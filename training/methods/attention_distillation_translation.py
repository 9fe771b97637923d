"""Attention Distillation with translation (section 4.3): the paper's proposed method."""

from __future__ import annotations

from collections.abc import Mapping

from training.configuration import TrainingConfiguration
from training.methods.attention_distillation import AttentionDistillation
from training.stages.labelled_tokens import LabelledTokens, MarketplaceRows


class AttentionDistillationTranslation(AttentionDistillation):
    """Cross-entropy on the new rows, attention distillation on those translated into older languages."""

    name = "attention_distillation_translation"
    title = "Attention Distillation with translation"
    uses_translation = True

    @classmethod
    def configured(cls, configuration: TrainingConfiguration) -> TrainingConfiguration:
        """The configuration with what makes it section 4.3: distillation on translated rows only."""
        distillation = configuration.distillation.model_copy(update={"on_new_data": False})
        return configuration.model_copy(update={"distillation": distillation})

    def translated(self, rows: MarketplaceRows) -> Mapping[str, LabelledTokens]:
        """The new rows in the older marketplaces' languages."""
        return rows.translated
