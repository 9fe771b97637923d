"""`training continual` and `training sequential`: learn a sequence of marketplaces, with adapters or without."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from model_store.files import write_json
from model_store.versions.store import ModelStore
from training.commands.console import notes
from training.commands.matrix import print_matrices
from training.commands.run_names import run_name, store_folder
from training.configuration import Overrides, TrainingConfiguration, load_configuration
from training.data.sources import parse_source
from training.data.splits import Splits
from training.evaluation import roc_auc
from training.methods.base import MethodContext
from training.methods.sequential_finetuning import SequentialFinetuning
from training.runs.driver import ContinualRun, Report, RunState, check_translators
from training.runs.files import RunFiles
from training.runs.learner import ContinualLearner
from training.runs.marketplace_data import checked_splits
from training.stages.environment import new_network, prepare_environment, run_folder_of
from training.stages.labelled_tokens import LabelledTokens, MarketplaceRows


def finetune_sequentially(
    data: str,
    sequence: Sequence[str],
    preset: str,
    overrides: Overrides,
    output: Path,
    report: Report = notes.print,
) -> None:
    """Fine-tune on one marketplace after another and write the matrix of test ROC-AUC.

    Args:
        report: is given a line after each marketplace.
    """
    configuration = load_configuration(preset, overrides)
    splits = load_splits(data, sequence, configuration)
    started = time.monotonic()
    matrix: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        method = SequentialFinetuning(MethodContext.of(configuration, Path(folder)))
        tokenizer = method.context.tokenizer
        test = {name: LabelledTokens.of(parts.test, tokenizer) for name, parts in splits.items()}
        for marketplace, parts in splits.items():
            train, validation = (LabelledTokens.of(rows, tokenizer) for rows in (parts.train, parts.validation))
            method.learn(MarketplaceRows(marketplace, train, validation))
            matrix.append(
                {name: roc_auc(rows.labels, method.logits(name, rows.tokenized)) for name, rows in test.items()}
            )
            known = "  ".join(f"{name} {auc:.4f}" for name, auc in matrix[-1].items())
            report(f"fine-tuned on {marketplace}: test ROC-AUC {known}")
    write_json(
        output,
        {
            "method": method.name,
            "data": data,
            "sequence": list(sequence),
            "test_matrix": matrix,
            "trainable_parameters": method.trainable_parameters,
            "seconds": time.monotonic() - started,
            "configuration": configuration.model_dump(mode="json"),
        },
    )


def train_continually(
    data: str, sequence: Sequence[str], preset: str, overrides: Overrides, store: Path | None, run: str | None
) -> None:
    """Check everything first, then learn marketplace by marketplace and print the matrices."""
    state = learn_sequence(data, sequence, preset, overrides, store, run, notes.print)
    print_matrices(state, list(sequence))


def learn_sequence(
    data: str,
    sequence: Sequence[str],
    preset: str,
    overrides: Overrides,
    store: Path | None,
    run: str | None,
    report: Report,
) -> RunState:
    """What `train_continually` does, without its tables.

    Args:
        report: is given a line for the run and for each publication, just after it.

    Returns:
        The matrices of the whole run.
    """
    configuration = load_configuration(preset, overrides)
    check_translators(configuration, [], sequence)
    splits = load_splits(data, sequence, configuration)
    model_store = ModelStore(store_folder(store))
    facts = {"data": data, "sequence": list(sequence), "parent": None}
    files = RunFiles(run_folder_of(model_store.root, run or run_name(configuration, facts)))
    files.begin(configuration, facts)
    report(f"run {files.folder}")
    network, tokenizer = new_network(configuration)
    learner = ContinualLearner(prepare_environment(configuration, network, tokenizer))
    continual_run = ContinualRun(learner, model_store, files, None, RunState(), {}, report)
    continual_run.learn(splits)
    return continual_run.state


def load_splits(data: str, sequence: Sequence[str], configuration: TrainingConfiguration) -> Mapping[str, Splits]:
    """Read, check and split the marketplaces' rows."""
    source = parse_source(data)
    return checked_splits(source.load(sequence, configuration.seed), configuration, data)
