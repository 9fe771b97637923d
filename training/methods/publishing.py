"""From a trained method to published model versions, where its form allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from model_store.network.scoring import probabilities, score_tokenized
from model_store.versions.store import ModelStore
from training.data.pairs import RelevancePair
from training.evaluation import roc_auc
from training.methods.base import Method, ServedVersion
from training.runs.files import RunFiles
from training.runs.publishing import Publication, ScoredRows, VersionFacts, evaluation_sets, publish_version
from training.runs.zero_shot import zero_shot_cosine
from training.stages.environment import run_folder_of
from training.stages.labelled_tokens import LabelledTokens

EvaluationRows = Mapping[str, Mapping[str, Sequence[RelevancePair]]]
"""Rows by marketplace, and by "validation" and "test"."""


def publish_method(
    method: Method,
    store: ModelStore,
    run: str,
    rows: EvaluationRows,
    test_matrix: Sequence[Mapping[str, float]],
    zero_shot_test: Mapping[str, float],
    trainable_parameters: Mapping[str, int],
) -> list[Publication]:
    """Publish what the model store can hold of a method that has learnt all of its marketplaces.

    Args:
        run: names the folder in the store's `runs/` that the evaluation rows are written to.
        test_matrix: R so far, one row per step; one row of a joint method.
        zero_shot_test: ROC-AUC of the untrained encoder on the test rows.
        trainable_parameters: weights that each marketplace's step trained; for one that had no step of its own,
            those of the newest step are noted.

    Returns:
        The versions: one for all marketplaces, or one each where nothing is shared (`adapter`); none of a
        method whose form the model store cannot hold.
    """
    files = RunFiles(run_folder_of(store.root, run))
    newest = method.trainable_parameters
    publications = []
    for version in method.served_versions():
        names = version.route.adapters
        kept = {name: {part: tuple(rows[name][part]) for part in ("validation", "test")} for name in names}
        for name, sets in kept.items():
            files.keep_evaluation(name, sets)
        tokens = {name: LabelledTokens.of(kept[name]["validation"], method.context.tokenizer) for name in names}
        scores = {name: _exact_scores(method, version, name, tokens[name]) for name in names}
        facts = VersionFacts(
            method=method.name,
            configuration=method.context.configuration,
            parent=None,
            run=run,
            validation={name: ScoredRows(kept[name]["validation"], scores[name]) for name in names},
            validation_matrix=[{name: roc_auc(tokens[name].labels, scores[name]) for name in names}],
            test_matrix=test_matrix if len(test_matrix) == len(names) else test_matrix[-1:],
            zero_shot={name: _zero_shot(method, version, tokens[name]) for name in names},
            zero_shot_test={name: zero_shot_test[name] for name in names},
            evaluation=evaluation_sets(store, files, kept),
            trainable_parameters={name: {"step": trainable_parameters.get(name, newest)} for name in names},
        )
        publications.append(publish_version(store, version, method.context.tokenizer, facts))
    return publications


def _exact_scores(method: Method, version: ServedVersion, marketplace: str, rows: LabelledTokens) -> np.ndarray:
    """(N) scores in [0, 1] as a loaded copy gives them: float32 whatever the training's precision."""
    network, tokenizer = version.network, method.context.tokenizer
    heads = np.full(len(rows), network.heads.names.index(version.heads[marketplace]), dtype=np.int64)
    return probabilities(score_tokenized(network, tokenizer, rows.tokenized, version.route, heads))


def _zero_shot(method: Method, version: ServedVersion, rows: LabelledTokens) -> float:
    return roc_auc(rows.labels, zero_shot_cosine(version.network, method.context.tokenizer, rows))
