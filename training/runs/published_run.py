"""A run in a model store: a version is published after every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from model_store.files import read_json, write_json
from model_store.versions.store import ModelStore
from training.data.pairs import RelevancePair
from training.data.splits import Splits
from training.runs.driver import Report, SequenceRun
from training.runs.files import RunFiles
from training.runs.marketplace_data import TEST, VALIDATION, EvaluationTokens
from training.runs.method import LearningMethod
from training.runs.publishing import Publication, Publisher, RunState, untrained_auc
from training.runs.steps import StepResult

EvaluationRows = Mapping[str, Mapping[str, Sequence[RelevancePair]]]
"""Rows by marketplace, and by "validation" and "test"."""


def learn_and_publish(
    method: LearningMethod,
    splits: Mapping[str, Splits],
    store: ModelStore,
    files: RunFiles,
    report: Report,
    *,
    parent: int | None = None,
    state: RunState | None = None,
    kept: EvaluationRows | None = None,
) -> RunState:
    """Learn the marketplaces in the order given and publish a version after each.

    The run lies in a folder of the store; the same call resumes where an earlier one was interrupted.

    Args:
        method: has learnt nothing, or what the parent version knows.
        files: of the run, begun; the method's stages lie there too.
        parent: number of the version that the first step builds on, None for a new beginning.
        state: what was measured of the parent.
        kept: evaluation rows of the marketplaces that the parent knows.

    Returns:
        What was measured of the whole run, the parent's part included.
    """
    rows = {name: dict(parts) for name, parts in (kept or {}).items()}
    for name, sets in rows.items():
        files.keep_evaluation(name, sets)
    for name, parts in splits.items():
        files.keep_splits(name, parts)
        rows[name] = dict(parts.named())

    def pairs_of(marketplace: str, part: str) -> Sequence[RelevancePair]:
        return rows[marketplace][part]

    evaluation = EvaluationTokens.tokenized(pairs_of, list(rows), (VALIDATION, TEST), method.tokenizer)
    evaluation = evaluation.frozen(method)
    publisher = Publisher(store, files, pairs_of, evaluation)
    steps = _PublishedSteps(method, publisher, state or RunState(), parent, report)
    SequenceRun(method, pairs_of, evaluation, steps, store.root / "translations", report).learn(list(splits))
    return steps.state


class _PublishedSteps:
    """Keeps a step by publishing a version: `published.json` in the step's folder says so."""

    def __init__(
        self,
        method: LearningMethod,
        publisher: Publisher,
        state: RunState,
        parent: int | None,
        report: Report,
    ) -> None:
        self.state = state
        self._method, self._publisher, self._parent, self._report = method, publisher, parent, report

    def kept(self, number: int, marketplace: str) -> StepResult | None:
        """As in `StepKeeper`."""
        done = read_json(self._path(number, marketplace))
        return None if done is None else StepResult.model_validate(done["step"])

    def keep(self, number: int, result: StepResult) -> None:
        """As in `StepKeeper`: a step that is published already is only noted."""
        self._note(result)
        publication = self._published(number, result)
        self._parent = publication.number
        self._report(f"version {publication.number}: {publication.reason}")
        if publication.plain_probes:
            self._report(f"plain probes ranked right: {publication.plain_probe_line}")

    def _published(self, number: int, result: StepResult) -> Publication:
        path = self._path(number, result.marketplace)
        done = read_json(path)
        if done is not None:
            return Publication(**done["publication"])  # type: ignore[arg-type] # as it was written
        [publication] = self._publisher.publish(self._method, self.state, self._parent)
        write_json(path, {"step": result.model_dump(mode="json"), "publication": publication.as_dict()})
        return publication

    def _note(self, result: StepResult) -> None:
        """Add the step to what was measured, and the untrained encoder's figures where they are not known."""
        self.state.add(result)
        [version] = self._method.served_versions()
        for part, known in (
            (VALIDATION, self.state.zero_shot_validation),
            (TEST, self.state.zero_shot_test),
        ):
            for name, rows in self._publisher.evaluation.of(part).items():
                if name not in known:
                    known[name] = untrained_auc(self._method, version, rows)

    def _path(self, number: int, marketplace: str) -> Path:
        return self._publisher.files.step_folder(number, marketplace) / "published.json"
