"""Single Marketplace: the whole encoder fine-tuned afresh for every marketplace, one model each.

The paper's baseline: nothing is forgotten as nothing is shared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model_store.encoding.tokens import TokenizedPairs
from model_store.network.head import SHARED_HEAD
from model_store.network.interaction import Route
from model_store.network.relevance_network import RelevanceNetwork
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

_WHOLE_VOCABULARY = "word_embeddings.w"  # `.weight`, or `.whole.weight` beside trainable rows


@dataclass(frozen=True, slots=True)
class _Weights:
    """What differs between two marketplaces' models, in the CPU's memory: not the vocabulary's unused rows."""

    token_ids: Tensor  # (tokens) of the vocabulary's rows that were trained
    tensors: dict[str, Tensor]

    @classmethod
    def of(cls, network: RelevanceNetwork, token_ids: Tensor) -> _Weights:
        """A copy of the network's weights as they are."""
        tensors = {
            name: parameter.detach().to("cpu", copy=True)
            for name, parameter in network.named_parameters()
            if _WHOLE_VOCABULARY not in name
        }
        return cls(token_ids.cpu(), tensors)

    def put(self, network: RelevanceNetwork) -> None:
        """Make the network this marketplace's."""
        use_vocabulary_rows(network, self.token_ids)
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                if name in self.tensors:
                    parameter.copy_(self.tensors[name])


class SingleMarketplace(Method):
    """One fine-tuned model per marketplace, in one network whose weights are put in its turn."""

    name = "single_marketplace"
    title = "Single Marketplace"
    is_continual = False
    unread_settings = FUSION_SETTINGS | ADAPTER_SETTINGS

    def __init__(self, context: MethodContext) -> None:
        super().__init__(context)
        self._environment = context.relevance_environment()
        self._untrained = _Weights.of(self._environment.network, torch.empty(0, dtype=torch.int64))
        self._kept: dict[str, _Weights] = {}
        self._active: str | None = None

    def learn(self, rows: MarketplaceRows) -> None:
        """Fine-tune the untrained encoder on the marketplace."""
        self.refuse_known(rows.marketplace)
        environment, network = self._environment, self._environment.network
        self._untrained.put(network)
        seed = seed_stage(environment.configuration.seed, rows.marketplace, self.name)
        vocabulary = use_vocabulary_rows(network, rows.train.token_ids(environment.tokenizer))
        add_calibrated_head(environment, SHARED_HEAD, rows.train)
        stage = FinetuningStage(environment, rows, seed)
        folder = self.context.folder / rows.marketplace
        seconds = environment.configuration.checkpoint_seconds
        finished_stage(stage, network, environment.accelerator, folder, seconds)
        self._kept[rows.marketplace] = _Weights.of(network, vocabulary.used)  # type: ignore[arg-type]
        self._active = rows.marketplace
        self.marketplaces.append(rows.marketplace)

    def logits(self, marketplace: str, pairs: TokenizedPairs) -> np.ndarray:
        """As in `Method`: by the marketplace's own model."""
        wanted = marketplace if marketplace in self._kept else self.marketplaces[-1]
        if wanted != self._active:
            self._kept[wanted].put(self._environment.network)
            self._active = wanted
        return self._environment.logits(pairs, Route(), 0)

    @property
    def trainable_parameters(self) -> int:
        """Every weight of one model."""
        return whole_model_parameters(self._environment.network)

    @property
    def total_parameters(self) -> int:
        """One model for every marketplace."""
        return len(self.marketplaces) * self.trainable_parameters
