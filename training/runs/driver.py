"""A continual run: marketplaces one after another, a published model version after each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from model_store.errors import ConfigurationError
from model_store.files import read_json, write_json
from model_store.network.scoring import probabilities
from model_store.versions.manifest import Manifest
from model_store.versions.store import ModelStore
from training.configuration import TrainingConfiguration
from training.data.pairs import RelevancePair
from training.data.splits import Splits
from training.evaluation import roc_auc
from training.languages import language_of
from training.runs.files import RunFiles
from training.runs.learner import ContinualLearner, StepResult
from training.runs.marketplace_data import EvaluationTokens
from training.runs.publishing import (
    Publication,
    ScoredRows,
    ServedVersion,
    VersionFacts,
    evaluation_sets,
    publish_version,
)
from training.runs.translated_rows import translated_rows
from training.stages.environment import TrainingEnvironment
from training.stages.labelled_tokens import LabelledTokens, frozen_rows
from training.stages.zero_shot import zero_shot_cosine
from training.translation.plan import TranslationPlan

Report = Callable[[str], None]


@dataclass(slots=True)
class RunState:
    """What a run knows so far: one row of both matrices per step."""

    validation_matrix: list[dict[str, float]] = field(default_factory=list)
    test_matrix: list[dict[str, float]] = field(default_factory=list)
    zero_shot_validation: dict[str, float] = field(default_factory=dict)
    zero_shot_test: dict[str, float] = field(default_factory=dict)
    steps: list[dict[str, object]] = field(default_factory=list)
    parameters: dict[str, dict[str, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, manifest: Manifest) -> RunState:
        """What a published version knows: the state that its next step goes on from."""
        return cls(
            validation_matrix=[dict(row) for row in manifest.metric_matrix],
            test_matrix=[dict(row) for row in manifest.test_matrix],
            zero_shot_validation=dict(manifest.zero_shot),
            zero_shot_test=dict(manifest.zero_shot_test),
            steps=[{"marketplace": name} for name in manifest.names[-len(manifest.test_matrix) :]],
            parameters={entry.name: entry.trainable_parameters for entry in manifest.marketplaces},
        )


class ContinualRun:
    """Learns a sequence of marketplaces and publishes a version after each.

    A run lies in a folder of the store; the same call goes on where an earlier one was interrupted.

    Args:
        learner: the network, empty or with what the parent version knows.
        parent: number of the version that the first step builds on, None for a new beginning.
        state: matrices of the parent, empty for a new beginning.
        kept: evaluation rows of the marketplaces that the parent knows.
    """

    def __init__(
        self,
        learner: ContinualLearner,
        store: ModelStore,
        files: RunFiles,
        parent: int | None,
        state: RunState,
        kept: Mapping[str, Mapping[str, Sequence[RelevancePair]]],
        report: Report,
    ) -> None:
        self.learner, self.store, self.files, self.parent, self.state = learner, store, files, parent, state
        self.report = report
        self.evaluation = {
            name: EvaluationTokens.of(rows, self.environment.tokenizer) for name, rows in kept.items()
        }
        self.rows: dict[str, Mapping[str, Sequence[RelevancePair]]] = dict(kept)

    @property
    def environment(self) -> TrainingEnvironment:
        """Network, tokenizer, device, configuration."""
        return self.learner.environment

    @property
    def configuration(self) -> TrainingConfiguration:
        """The run's configuration."""
        return self.environment.configuration

    def learn(self, splits: Mapping[str, Splits]) -> list[Publication]:
        """Learn the marketplaces in the order given."""
        check_translators(self.configuration, self.learner.marketplaces, list(splits))
        for marketplace, parts in splits.items():
            self.files.keep_splits(marketplace, parts)
            rows = {"validation": parts.validation, "test": parts.test}
            self.rows[marketplace] = rows
            self.evaluation[marketplace] = EvaluationTokens.of(rows, self.environment.tokenizer)
        self._freeze_evaluation()
        for marketplace in splits:
            self._note_zero_shot(marketplace)
        return [self._step(marketplace, parts) for marketplace, parts in splits.items()]

    def _freeze_evaluation(self) -> None:
        """Run the frozen layers once over all rows that every step is evaluated on."""
        self.environment.network.skip_idle_layers()
        rows = [part for data in self.evaluation.values() for part in (data.validation, data.test)]
        frozen = iter(frozen_rows(self.environment, "evaluation", *rows, dropout=False))
        self.evaluation = {name: EvaluationTokens(next(frozen), next(frozen)) for name in self.evaluation}

    def _note_zero_shot(self, marketplace: str) -> None:
        network, tokenizer = self.environment.network, self.environment.tokenizer
        for data, noted in (
            (self.evaluation[marketplace].validation, self.state.zero_shot_validation),
            (self.evaluation[marketplace].test, self.state.zero_shot_test),
        ):
            noted[marketplace] = roc_auc(data.labels, zero_shot_cosine(network, tokenizer, data))

    def _step(self, marketplace: str, parts: Splits) -> Publication:
        step = len(self.learner.marketplaces) + 1
        folder = self.files.step_folder(step, marketplace)
        started = time.monotonic()
        with self.environment.accelerator.main_process_first():
            translated = translated_rows(
                parts.train,
                self.learner.marketplaces,
                self.configuration,
                self.environment.tokenizer,
                self.store.root / "translations",
            )
        translation_seconds = time.monotonic() - started
        train = LabelledTokens.of(parts.train, self.environment.tokenizer)
        validation = self.evaluation[marketplace].validation
        result = self.learner.learn(marketplace, train, validation, translated, folder)
        self._evaluate()
        facts = {
            "seconds": time.monotonic() - started,
            "translation_seconds": translation_seconds,
            "translated_rows": {name: len(data) for name, data in translated.items()},
        }
        # Of several processes the main one publishes; the others then find the step published.
        with self.environment.accelerator.main_process_first():
            publication = self._published_before(marketplace, result, folder)
            publication = publication or self._publish(marketplace, result, folder, facts)
        self.parent = publication.number
        self._say(marketplace, publication)
        return publication

    def _publish(
        self, marketplace: str, result: StepResult, folder: Path, facts: Mapping[str, object]
    ) -> Publication:
        publication = self._publish_version(result.trainable_parameters)
        row: dict[str, object] = {
            "marketplace": marketplace,
            **facts,
            **_described(result),
            "validation_auc": self.state.validation_matrix[-1],
            "test_auc": self.state.test_matrix[-1],
        }
        self.state.steps.append(row)
        write_json(folder / "published.json", {"step": row, "publication": publication.as_dict()})
        return publication

    def _publish_version(self, trainable_parameters: Mapping[str, int]) -> Publication:
        """Publish the network as it is after the newest step."""
        learner, state = self.learner, self.state
        names = learner.marketplaces
        state.parameters[names[-1]] = dict(trainable_parameters)
        on_new_data = self.configuration.distillation.on_new_data
        facts = VersionFacts(
            method="attention_distillation" if on_new_data else "attention_distillation_translation",
            configuration=self.configuration,
            parent=self.parent,
            run=self.files.folder.name,
            validation={
                name: ScoredRows(self.rows[name]["validation"], self.validation_scores(name)) for name in names
            },
            validation_matrix=state.validation_matrix,
            test_matrix=state.test_matrix,
            zero_shot=state.zero_shot_validation,
            zero_shot_test=state.zero_shot_test,
            evaluation=evaluation_sets(self.store, self.files, {name: self.rows[name] for name in names}),
            trainable_parameters=state.parameters,
        )
        heads = {name: learner.head_of(name) for name in names}
        version = ServedVersion(self.environment.network, learner.route, heads)
        return publish_version(self.store, version, self.environment.tokenizer, facts)

    def _published_before(self, marketplace: str, result: StepResult, folder: Path) -> Publication | None:
        """What an earlier call of this run, or the main process, published: nothing is published twice."""
        done = read_json(folder / "published.json")
        if done is None:
            return None
        step, published = done["step"], done["publication"]
        assert isinstance(step, dict)
        assert isinstance(published, dict)
        self.state.steps.append(step)
        self.state.parameters[marketplace] = result.trainable_parameters
        return Publication(**published)

    def _evaluate(self) -> None:
        """Add a row to both matrices: all marketplaces, learnt or not, in the training's own precision."""
        validation, test = {}, {}
        with self.environment.accelerator.autocast():
            for marketplace, data in self.evaluation.items():
                validation[marketplace] = self._auc(marketplace, data.validation)
                test[marketplace] = self._auc(marketplace, data.test)
        self.state.validation_matrix.append(validation)
        self.state.test_matrix.append(test)

    def _auc(self, marketplace: str, data: LabelledTokens) -> float:
        return roc_auc(data.labels, self.learner.logits(marketplace, data))

    def validation_scores(self, marketplace: str) -> np.ndarray:
        """Exact scores in [0, 1] of the marketplace's validation rows after the newest step."""
        data = self.evaluation[marketplace].validation
        if self.environment.accelerator.mixed_precision != "no":
            data = replace(data, states=None)  # they are in that precision
        return probabilities(self.learner.logits(marketplace, data))

    def _say(self, marketplace: str, publication: Publication) -> None:
        test = self.state.test_matrix[-1]
        known = "  ".join(f"{name} {test[name]:.4f}" for name in self.learner.marketplaces)
        self.report(f"learnt {marketplace}: test ROC-AUC {known}")
        self.report(f"version {publication.number}: {publication.reason}")
        if publication.plain_probes:
            self.report(f"plain probes ranked right: {publication.plain_probe_line}")


def check_translators(configuration: TrainingConfiguration, known: Sequence[str], new: Sequence[str]) -> None:
    """Refuse a sequence whose translators are missing, before any training starts.

    Raises:
        ConfigurationError: a marketplace is named twice or known already.
        TranslationError: a language pair has no translator.
    """
    sequence = [*known, *new]
    if len(set(sequence)) != len(sequence):
        raise ConfigurationError(f"a marketplace is learnt twice in the sequence {', '.join(sequence)}")
    languages = [language_of(name, configuration.languages) for name in sequence]
    TranslationPlan.parse(configuration.translation).check(_language_pairs(languages, len(known)))


def _language_pairs(languages: Sequence[str], known: int) -> Iterable[tuple[str, str]]:
    for place in range(known, len(languages)):
        for older in languages[:place]:
            yield languages[place], older


def _described(result: StepResult) -> dict[str, object]:
    stages = {"adapter": result.adapter, "fusion": result.fusion}
    return {
        "trainable_parameters": result.trainable_parameters,
        "stage_seconds": {name: stage.seconds for name, stage in stages.items() if stage},
        "stage_steps": {name: stage.steps for name, stage in stages.items() if stage},
        "best_epoch": {name: stage.best_epoch for name, stage in stages.items() if stage},
    }
