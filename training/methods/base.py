"""What every compared method is: it learns one marketplace after another and scores pairs of any of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
from accelerate import Accelerator
from transformers import PreTrainedModel

from model_store.encoders.base_encoders import parse_base_encoder
from model_store.encoders.completeness import token_limit
from model_store.encoding.tokens import PairTokenizer, TokenizedPairs
from model_store.errors import ConfigurationError
from model_store.network.interaction import Route
from model_store.network.relevance_network import RelevanceNetwork
from model_store.versions.loading import LoadedVersion
from training.configuration import TrainingConfiguration
from training.runs.method import ServedVersion
from training.stages.environment import TrainingEnvironment, make_accelerator, relevance_network
from training.stages.labelled_tokens import LabelledTokens, MarketplaceRows
from training.stages.loop import StageResult


@dataclass(frozen=True, slots=True)
class MethodContext:
    """What a method builds its network from.

    Args:
        folder: for checkpoints of its stages; the same folder again makes finished stages instant.
        parent: the published version that it learns on from, with its tokenizer; None for a new beginning.
    """

    configuration: TrainingConfiguration
    tokenizer: PairTokenizer
    accelerator: Accelerator
    folder: Path
    parent: LoadedVersion | None = None
    _loaded: list[PreTrainedModel] = field(default_factory=list, repr=False, compare=False)
    """The encoder that came with the tokenizer: whoever asks first for a fresh one gets it."""

    @classmethod
    def of(cls, configuration: TrainingConfiguration, folder: Path) -> MethodContext:
        """Load the tokenizer and choose device and precision."""
        encoder, tokenizer = parse_base_encoder(configuration.base_encoder).load()
        pair_tokenizer = PairTokenizer(tokenizer, configuration.pair_encoding, token_limit(encoder))
        accelerator = make_accelerator(configuration.precision)
        return cls(configuration, pair_tokenizer, accelerator, folder, _loaded=[encoder])

    @classmethod
    def on_top_of(
        cls, parent: LoadedVersion, configuration: TrainingConfiguration, folder: Path
    ) -> MethodContext:
        """Learn on from a published version."""
        accelerator = make_accelerator(configuration.precision)
        return cls(configuration, parent.tokenizer, accelerator, folder, parent)

    def load_encoder(self) -> PreTrainedModel:
        """A fresh copy of the base encoder, untrained."""
        if self._loaded:
            return self._loaded.pop()
        return parse_base_encoder(self.configuration.base_encoder).load()[0]

    def relevance_environment(self) -> TrainingEnvironment[RelevanceNetwork]:
        """An encoder with room for adapters, fusion layers and heads, on the device: fresh, or the parent's."""
        if self.parent is not None:
            network = self.parent.network
        else:
            network = relevance_network(self.load_encoder(), self.configuration)
        network.to(self.accelerator.device)
        return TrainingEnvironment(self.configuration, network, self.tokenizer, self.accelerator)


FUSION_SETTINGS = frozenset(
    {"fusion_stage", "fusion_start", "distillation", "value_regularisation", "translated_share"}
)
"""What only methods that train a fusion layer read."""
ADAPTER_SETTINGS = frozenset(
    {"adapter_stage", "adapter_start", "adapter_interpolation", "frozen_states_megabytes", "anchors"}
)
"""What only methods that train the model's own adapters read."""


class Method(ABC):
    """A way of learning marketplaces.

    A method that learns continually is handed the rows of one marketplace at a time, in `learn`, and may keep
    none of them: the runner checks that they are gone before the next step. A method with `is_joint` is no
    continual one: it is handed all marketplaces at once, in `learn_together`.

    Every method knows at test time which marketplace a pair is of.
    """

    name: ClassVar[str]
    """As plans name it."""
    title: ClassVar[str]
    """As tables show it."""
    uses_translation: ClassVar[bool] = False
    is_joint: ClassVar[bool] = False
    is_continual: ClassVar[bool] = True
    """Whether one model learns on; False for references that train a model per marketplace, or on all data."""
    builds_on_versions: ClassVar[bool] = False
    """Whether it can learn on from a published version, as `training add` asks of it."""
    unread_settings: ClassVar[frozenset[str]] = frozenset()
    """Fields of the configuration that it never reads, so that they do not decide what a run of it gives."""

    def __init__(self, context: MethodContext) -> None:
        if context.parent is not None and not self.builds_on_versions:
            raise ConfigurationError(f"{self.name} begins anew: it cannot learn on from a published version")
        self.context = context
        self.marketplaces: list[str] = []
        """Those learnt so far, in order. `learn` appends to it."""

    @property
    def configuration(self) -> TrainingConfiguration:
        """What decides how it learns."""
        return self.context.configuration

    @property
    def tokenizer(self) -> PairTokenizer:
        """Its network's tokenizer."""
        return self.context.tokenizer

    @property
    def accelerator(self) -> Accelerator:
        """Its device and precision, and the other processes of the run."""
        return self.context.accelerator

    @abstractmethod
    def learn(self, rows: MarketplaceRows) -> None:
        """Learn one more marketplace.

        Raises:
            ConfigurationError: the marketplace is known already.
        """

    def learn_together(self, rows: Mapping[str, MarketplaceRows]) -> None:
        """Learn all marketplaces at once; only methods with `is_joint` can."""
        raise TypeError(f"{self.name} learns one marketplace at a time ({', '.join(rows)} given)")

    @abstractmethod
    def logits(self, marketplace: str, pairs: TokenizedPairs) -> np.ndarray:
        """(N) float32 logits of a marketplace's pairs with the weights as they are now.

        A marketplace that has not been learnt is scored by what the newest one uses.
        """

    def frozen(self, *rows: LabelledTokens) -> list[LabelledTokens]:
        """The rows for `logits_of`, with what no step changes computed once; as they are by default."""
        return list(rows)

    def logits_of(self, marketplace: str, rows: LabelledTokens) -> np.ndarray:
        """What `logits` gives, from what `frozen` computed where there is any."""
        return self.logits(marketplace, rows.tokenized)

    @property
    def trained_parts(self) -> Mapping[str, int]:
        """`trainable_parameters` by part of the network, where the method tells them apart."""
        return {"step": self.trainable_parameters}

    @property
    def stages(self) -> Mapping[str, StageResult]:
        """How the newest step's stages ended, by name; nothing by default."""
        return {}

    @property
    @abstractmethod
    def trainable_parameters(self) -> int:
        """Weights that the newest step trained."""

    @property
    @abstractmethod
    def total_parameters(self) -> int:
        """Weights that are needed to score all marketplaces learnt so far."""

    def served_versions(self) -> tuple[ServedVersion, ...]:
        """What the model store can hold of the method: nothing by default."""
        return ()

    def served_network(self) -> tuple[RelevanceNetwork, Route] | None:
        """The network and its route, where one version serves all marketplaces learnt; None elsewhere."""
        for version in self.served_versions():
            if set(version.route.adapters) == set(self.marketplaces):
                return version.network, version.route
        return None

    def learnt_or_newest(self, marketplace: str) -> str:
        """The marketplace, or the newest one where it has not been learnt: what scores it."""
        return marketplace if marketplace in self.marketplaces else self.marketplaces[-1]

    def refuse_known(self, *marketplaces: str) -> None:
        """Refuse to learn a marketplace twice.

        Raises:
            ConfigurationError: one of them has been learnt.
        """
        for marketplace in marketplaces:
            if marketplace in self.marketplaces:
                raise ConfigurationError(f"{self.name} has learnt {marketplace!r} already")
