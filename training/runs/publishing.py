"""The one publisher: from a method that has learnt marketplaces to model versions in the store."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from model_store.metrics import roc_auc
from model_store.network.scoring import probabilities
from model_store.versions.manifest import EvaluationSet, Manifest
from model_store.versions.store import ModelStore
from model_store.versions.weights import write_network
from training.runs.files import RunFiles
from training.runs.manifest_draft import ScoredRows, VersionFacts, manifest_draft
from training.runs.marketplace_data import VALIDATION, EvaluationTokens, PairsOf
from training.runs.method import LearningMethod, ServedVersion
from training.runs.steps import StepResult
from training.stages.labelled_tokens import LabelledTokens, zero_shot_cosine

Matrix = list[dict[str, float]]
"""ROC-AUC, one row per step, by marketplace."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A published version and what the promotion rule decided.

    `plain_probes` has, by marketplace, the share of its language's plain probes that is ranked right: `now`,
    `previous` (the parent's, else the untrained encoder's) and `untrained`.
    """

    number: int
    promoted: bool
    reason: str
    plain_probes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def plain_probe_line(self) -> str:
        """A line for people; empty where no marketplace's language has probes."""
        return ", ".join(
            f"{name} {shares['previous']:.3f} -> {shares['now']:.3f} (untrained {shares['untrained']:.3f})"
            for name, shares in self.plain_probes.items()
        )

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


@dataclass(slots=True)
class RunState:
    """What was measured of a run so far, and of the versions that it builds on: what a manifest says.

    Args:
        learnt: the marketplace, or "all", of each row of the test matrix.
        validation_matrix: empty where validation rows are not scored after every step.
        zero_shot_validation: ROC-AUC of the untrained encoder; likewise `zero_shot_test`.
        parameters: weights that each marketplace's step trained, by part of the network.
    """

    learnt: list[str] = field(default_factory=list)
    validation_matrix: Matrix = field(default_factory=list)
    test_matrix: Matrix = field(default_factory=list)
    zero_shot_validation: dict[str, float] = field(default_factory=dict)
    zero_shot_test: dict[str, float] = field(default_factory=dict)
    parameters: dict[str, dict[str, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, manifest: Manifest) -> RunState:
        """What a published version knows: the state that its next step goes on from."""
        return cls(
            learnt=manifest.names[-len(manifest.test_matrix) :],
            validation_matrix=[dict(row) for row in manifest.metric_matrix],
            test_matrix=[dict(row) for row in manifest.test_matrix],
            zero_shot_validation=dict(manifest.zero_shot),
            zero_shot_test=dict(manifest.zero_shot_test),
            parameters={entry.name: entry.trainable_parameters for entry in manifest.marketplaces},
        )

    def add(self, step: StepResult) -> None:
        """Note one more step."""
        self.learnt.append(step.marketplace)
        self.test_matrix.append(step.test_auc)
        if step.validation_auc:
            self.validation_matrix.append(step.validation_auc)
        self.parameters[step.marketplace] = step.trainable_parameters


@dataclass(frozen=True, slots=True)
class Publisher:
    """Publishes what the model store can hold of a method that has learnt marketplaces.

    Args:
        files: the run's, in the store: the evaluation rows that manifests refer to lie there.
        pairs_of: the validation and test rows of every marketplace.
        evaluation: those that are tokenized; others are when they are needed.
    """

    store: ModelStore
    files: RunFiles
    pairs_of: PairsOf
    evaluation: EvaluationTokens

    def publish(self, method: LearningMethod, state: RunState, parent: int | None) -> list[Publication]:
        """Publish the method as it is.

        Args:
            parent: number of the version that it was trained on top of.

        Returns:
            The versions: one for all marketplaces, or one each where nothing is shared (`adapter`); none of a
            method whose form the model store cannot hold.
        """
        return [self._version(method, version, state, parent) for version in method.served_versions()]

    def _version(
        self, method: LearningMethod, version: ServedVersion, state: RunState, parent: int | None
    ) -> Publication:
        names = version.route.adapters
        whole = set(names) == set(method.marketplaces)
        scored = {name: self._scored(method, version, name) for name in names}
        draft = manifest_draft(
            version,
            method.tokenizer,
            VersionFacts(
                method=method.name,
                configuration=method.configuration,
                parent=parent,
                run=self.files.folder.name,
                validation=scored,
                validation_matrix=state.validation_matrix
                or [{name: roc_auc(rows.labels, rows.scores) for name, rows in scored.items()}],
                # A version of one of several adapters knows how they ended, and no order of learning.
                test_matrix=state.test_matrix if whole else state.test_matrix[-1:],
                zero_shot=self._zero_shot(method, version, state),
                zero_shot_test=state.zero_shot_test if whole else _of(names, state.zero_shot_test),
                evaluation={name: self._evaluation_sets(name) for name in names},
                trainable_parameters={
                    name: state.parameters.get(name) or dict(method.trained_parts) for name in names
                },
            ),
        )
        published = self.store.publish(
            draft,
            lambda folder: write_network(version.network, version.route, folder),
            tolerance=method.configuration.promotion_tolerance,
        )
        decision, probes = published.decision, draft.plain_probes
        shares = {
            name: {"previous": change.previous, "now": change.now, "untrained": probes[name].untrained}
            for name, change in decision.plain_probes.items()
        }
        return Publication(published.number, decision.promoted, decision.reason_and_warnings, shares)

    def _tokens(self, method: LearningMethod, marketplace: str) -> LabelledTokens:
        kept = self.evaluation.of(VALIDATION).get(marketplace)
        if kept is not None:
            return kept
        return LabelledTokens.of(self.pairs_of(marketplace, VALIDATION), method.tokenizer)

    def _scored(self, method: LearningMethod, version: ServedVersion, marketplace: str) -> ScoredRows:
        """Validation rows and their scores as a loaded copy gives them: float32 whatever the run's precision."""
        rows = self._tokens(method, marketplace)
        if method.accelerator.mixed_precision != "no":
            rows = replace(rows, states=None)  # they are in that precision
        head = version.network.heads.names.index(version.heads[marketplace])
        budget = method.configuration.token_budget
        logits = rows.logits(version.network, method.tokenizer, version.route, head, budget)
        return ScoredRows(self.pairs_of(marketplace, VALIDATION), probabilities(logits))

    def _zero_shot(self, method: LearningMethod, version: ServedVersion, state: RunState) -> Mapping[str, float]:
        missing = [name for name in version.route.adapters if name not in state.zero_shot_validation]
        measured = {name: untrained_auc(method, version, self._tokens(method, name)) for name in missing}
        return {**state.zero_shot_validation, **measured}

    def _evaluation_sets(self, marketplace: str) -> dict[str, EvaluationSet]:
        """References to the rows that the run keeps in the store."""
        sets = {}
        for part in ("validation", "test"):
            path = self.files.evaluation_path(marketplace, part)
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            relative = path.relative_to(self.store.root).as_posix()
            sets[part] = EvaluationSet(path=relative, rows=len(self.pairs_of(marketplace, part)), sha256=digest)
        return sets


def untrained_auc(method: LearningMethod, version: ServedVersion, rows: LabelledTokens) -> float:
    """ROC-AUC of the untrained encoder's cosine: no version's encoder is trained."""
    return roc_auc(rows.labels, zero_shot_cosine(version.network, method.tokenizer, rows))


def _of(names: Sequence[str], values: Mapping[str, float]) -> dict[str, float]:
    return {name: values[name] for name in names}
