"""Labelled rows with what the frozen layers make of their texts."""

from __future__ import annotations

from dataclasses import replace

from model_store.network.relevance_network import RelevanceNetwork
from training.stages.environment import TrainingEnvironment
from training.stages.frozen_states import frozen_states
from training.stages.labelled_tokens import LabelledTokens


def frozen_rows(
    environment: TrainingEnvironment[RelevanceNetwork], step: str, *rows: LabelledTokens, dropout: bool
) -> list[LabelledTokens]:
    """The same rows, their states computed once where that is possible (see `frozen_states`).

    They hold as long as nothing below the adapters is trained. Rows that have states keep them.

    Args:
        dropout: whether a stage that reads them lets the encoder's dropout act.
    """
    without = [data for data in rows if data.states is None]
    states = iter(frozen_states(environment, step, *(data.tokenized for data in without), dropout=dropout))
    return [data if data.states is not None else replace(data, states=next(states)) for data in rows]
