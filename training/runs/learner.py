"""The network as it grows: one adapter, one fusion layer and the head per step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_store.network.head import SHARED_HEAD
from model_store.network.interaction import Route
from model_store.network.relevance_network import parameter_count
from training.stages.adapter import AdapterStage, calibrate_cosine, rescale_head
from training.stages.anchors import Anchors
from training.stages.environment import TrainingEnvironment, seed_stage
from training.stages.finished import finished_stage, is_finished
from training.stages.fusion import FusionStage
from training.stages.labelled_tokens import LabelledTokens, frozen_rows
from training.stages.loop import Stage, StageResult


@dataclass(frozen=True, slots=True)
class LearntStep:
    """How a step's stages ended, and how many parameters each trained."""

    adapter: StageResult
    fusion: StageResult | None
    trainable_parameters: dict[str, int]


class ContinualLearner:
    """Learns marketplaces one after another (Algorithm 1 of the paper).

    Every stage's outcome is kept in the step's folder: a learner that is interrupted and started again reads
    finished stages back and goes on inside an unfinished one.

    Args:
        marketplaces: those the network knows already, in the order of learning.
        route: the adapters and fusion that serve them; the teacher of the next step.
    """

    def __init__(
        self, environment: TrainingEnvironment, marketplaces: Sequence[str] = (), route: Route | None = None
    ) -> None:
        self.environment = environment
        self.marketplaces = list(marketplaces)
        self.route = route or Route()

    def head_of(self, marketplace: str) -> str:
        """Name of the head that scores a marketplace; an unknown one gets the newest head."""
        if self.environment.configuration.head.policy == "shared":
            return SHARED_HEAD
        return marketplace if marketplace in self.marketplaces else self.marketplaces[-1]

    def head_number(self, marketplace: str) -> int:
        """Number of that head in the network."""
        return self.environment.network.heads.names.index(self.head_of(marketplace))

    def learn(
        self,
        marketplace: str,
        train: LabelledTokens,
        validation: LabelledTokens,
        translated: Mapping[str, LabelledTokens],
        folder: Path,
    ) -> LearntStep:
        """Run the adapter stage and, from the second marketplace on, the fusion stage.

        Args:
            translated: translated training rows by older marketplace, tokenized; empty without translation.
            folder: where this step's artefacts and checkpoints lie.
        """
        teacher, older = self.route, {name: self.head_number(name) for name in self.marketplaces}
        previous = self.marketplaces[-1] if self.marketplaces else None
        self._add_adapter(marketplace, previous)
        anchors = None  # nor are there stages to read them
        if not (is_finished(folder / "adapter") and (is_finished(folder / "fusion") or not previous)):
            names = list(translated)
            stages = (self.environment.configuration.adapter_stage, self.environment.configuration.fusion_stage)
            dropout = any(stage.dropout for stage in stages)
            sets = frozen_rows(
                self.environment, marketplace, train, validation, *translated.values(), dropout=dropout
            )
            train, validation, translated = sets[0], sets[1], dict(zip(names, sets[2:], strict=True))
            anchors = Anchors.of(self.environment, marketplace, train, dropout)
        head = self._add_head(marketplace, previous, train)
        self.marketplaces.append(marketplace)
        adapter = self._adapter_stage(marketplace, head, train, validation, anchors, folder / "adapter")
        self.route = Route((*teacher.adapters, marketplace))
        fusion = None
        if teacher.adapters:
            fusion = self._fusion_stage(
                marketplace, head, teacher, train, validation, translated, older, anchors, folder / "fusion"
            )
        return LearntStep(adapter, fusion, self._trainable_parameters(marketplace, head))

    def _add_adapter(self, marketplace: str, previous: str | None) -> None:
        configuration, network = self.environment.configuration, self.environment.network
        seed_stage(configuration.seed, marketplace, "modules")
        network.add_adapter(marketplace, previous if configuration.adapter_start == "previous" else None)
        network.skip_idle_layers()

    def _add_head(self, marketplace: str, previous: str | None, train: LabelledTokens) -> str:
        configuration, network = self.environment.configuration, self.environment.network
        head = SHARED_HEAD if configuration.head.policy == "shared" else marketplace
        if head not in network.heads.weights:
            network.heads.add(head, self.head_of(previous) if previous else None)
            network.heads.to(network.device)
            if previous is None and configuration.head.kind == "similarity":
                calibrate_cosine(self.environment, head, train)
        return head

    def _adapter_stage(
        self,
        marketplace: str,
        head: str,
        train: LabelledTokens,
        validation: LabelledTokens,
        anchors: Anchors | None,
        folder: Path,
    ) -> StageResult:
        configuration = self.environment.configuration
        if configuration.adapter_interpolation < 1 and len(self.marketplaces) > 1 and not is_finished(folder):
            # The head is as steep as the older adapters need it, and the new one begins with next to no effect.
            rescale_head(self.environment, head, Route((marketplace,)), train)
        seed = seed_stage(configuration.seed, marketplace, "adapter")
        stage = AdapterStage(self.environment, marketplace, head, train, validation, seed, anchors)
        return self._run(stage, folder)

    def _fusion_stage(
        self,
        marketplace: str,
        head: str,
        teacher: Route,
        train: LabelledTokens,
        validation: LabelledTokens,
        translated: Mapping[str, LabelledTokens],
        older: Mapping[str, int],
        anchors: Anchors | None,
        folder: Path,
    ) -> StageResult:
        configuration, network = self.environment.configuration, self.environment.network
        name = f"step-{len(self.marketplaces):04d}"
        start = teacher.fusion if configuration.fusion_start == "previous" else None
        seed = seed_stage(configuration.seed, marketplace, "fusion")
        network.add_fusion(name, start)
        self.route = Route(self.route.adapters, name)
        stage = FusionStage(
            self.environment,
            marketplace,
            head,
            self.route,
            teacher,
            train,
            validation,
            translated,
            older,
            seed,
            anchors,
        )
        result = self._run(stage, folder)
        if teacher.fusion:
            network.remove_fusion(teacher.fusion)
        return result

    def _run(self, stage: Stage, folder: Path) -> StageResult:
        environment = self.environment
        seconds = environment.configuration.checkpoint_seconds
        return finished_stage(stage, environment.network, environment.accelerator, folder, seconds)

    def _trainable_parameters(self, marketplace: str, head: str) -> dict[str, int]:
        network = self.environment.network
        adapter = [p for module in network.trained_adapter_modules(marketplace) for p in module.parameters()]
        counts = {
            "adapter": parameter_count(adapter),
            "head": parameter_count(list(network.heads.parameters_of(head))),
        }
        if self.route.fusion:
            fusion = [p for m in network.trained_fusion_modules(self.route.fusion) for p in m.parameters()]
            counts["fusion"] = parameter_count(fusion)
        return counts

    def logits(self, marketplace: str, data: LabelledTokens) -> np.ndarray:
        """(N) logits of the marketplace's rows with the network as it is now; float32 unless autocast is on."""
        environment = self.environment
        budget = environment.configuration.token_budget
        head = self.head_number(marketplace)
        return data.logits(environment.network, environment.tokenizer, self.route, head, budget)
