"""Sequential fine-tuning: the whole encoder and one head, on one marketplace after another.

The baseline that forgets. It is run by the same loop, on the same rows, with the same pair encoding and head.
"""

from __future__ import annotations

import numpy as np

from model_store.encoding.tokens import TokenizedPairs
from model_store.network.head import SHARED_HEAD
from model_store.network.interaction import Route
from training.methods.base import ADAPTER_SETTINGS, FUSION_SETTINGS, Method, MethodContext
from training.stages.environment import seed_stage
from training.stages.finetuning import (
    FinetuningStage,
    add_calibrated_head,
    use_vocabulary_rows,
    whole_model_parameters,
)
from training.stages.finished import finished_stage
from training.stages.labelled_tokens import MarketplaceRows


class SequentialFinetuning(Method):
    """Learns marketplaces one after another in the same weights."""

    name = "sequential_finetuning"
    title = "Sequential Fine-tuning"
    unread_settings = FUSION_SETTINGS | ADAPTER_SETTINGS

    def __init__(self, context: MethodContext) -> None:
        super().__init__(context)
        self._environment = context.relevance_environment()

    def learn(self, rows: MarketplaceRows) -> None:
        """Fine-tune everything on one marketplace."""
        self.refuse_known(rows.marketplace)
        environment, network = self._environment, self._environment.network
        seed = seed_stage(environment.configuration.seed, rows.marketplace, self.name)
        if SHARED_HEAD not in network.heads.weights:
            add_calibrated_head(environment, SHARED_HEAD, rows.train)
        vocabulary = use_vocabulary_rows(network, rows.train.token_ids(environment.tokenizer))
        stage = FinetuningStage(environment, rows, seed)
        folder = self.context.folder / rows.marketplace
        seconds = environment.configuration.checkpoint_seconds
        finished_stage(stage, network, environment.accelerator, folder, seconds)
        network.encoder.replace_word_embeddings(vocabulary.merged())
        self.marketplaces.append(rows.marketplace)

    def logits(self, marketplace: str, pairs: TokenizedPairs) -> np.ndarray:  # noqa: ARG002 - one model for all
        """As in `Method`: by the newest weights, whatever the marketplace."""
        return self._environment.logits(pairs, Route(), 0)

    @property
    def trainable_parameters(self) -> int:
        """Every weight of the encoder and the head."""
        return whole_model_parameters(self._environment.network)

    @property
    def total_parameters(self) -> int:
        """The same weights."""
        return self.trainable_parameters
