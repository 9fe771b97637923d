"""What a run asks of a method: it learns marketplaces, scores pairs, and says what can be published of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from accelerate import Accelerator

from model_store.encoding.tokens import PairTokenizer
from model_store.network.interaction import Route
from model_store.network.relevance_network import RelevanceNetwork
from training.configuration import TrainingConfiguration
from training.stages.labelled_tokens import LabelledTokens, MarketplaceRows
from training.stages.loop import StageResult


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """What the model store can hold of a method as one version, for the service to score with.

    Args:
        route: its adapters are the version's marketplaces, in the order of learning.
        heads: name of the head that scores each of them.
    """

    network: RelevanceNetwork
    route: Route
    heads: Mapping[str, str]


class LearningMethod(Protocol):
    """A method as a run sees it; `training.methods.base.Method` says what each part means."""

    name: ClassVar[str]
    uses_translation: ClassVar[bool]
    is_joint: ClassVar[bool]
    marketplaces: list[str]

    @property
    def configuration(self) -> TrainingConfiguration:
        """What decides how it learns."""

    @property
    def tokenizer(self) -> PairTokenizer:
        """Its network's tokenizer."""

    @property
    def accelerator(self) -> Accelerator:
        """Its device and precision, and the other processes of the run."""

    def learn(self, rows: MarketplaceRows) -> None:
        """Learn one more marketplace."""

    def learn_together(self, rows: Mapping[str, MarketplaceRows]) -> None:
        """Learn all marketplaces at once."""

    def frozen(self, *rows: LabelledTokens) -> list[LabelledTokens]:
        """The rows with what no step changes computed once."""

    def logits_of(self, marketplace: str, rows: LabelledTokens) -> np.ndarray:
        """(N) float32 logits of a marketplace's rows with the weights as they are."""

    @property
    def trained_parts(self) -> Mapping[str, int]:
        """Weights that the newest step trained, by part of the network."""

    @property
    def stages(self) -> Mapping[str, StageResult]:
        """How the newest step's stages ended, by name."""

    def served_versions(self) -> tuple[ServedVersion, ...]:
        """One for all marketplaces, one each, or none."""
