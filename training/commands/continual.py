"""`training continual` and `training sequential`: learn a sequence of marketplaces, with adapters or without."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table

from model_store.files import write_json
from model_store.versions.store import ModelStore
from training.configuration import Overrides, TrainingConfiguration, load_configuration
from training.console import notes, results
from training.data.sources import parse_source
from training.data.splits import Splits
from training.methods.attention_distillation import AttentionDistillation, AttentionDistillationTranslation
from training.methods.base import MethodContext
from training.methods.sequential_finetuning import SequentialFinetuning
from training.runs.driver import Report, SequenceRun, check_translators
from training.runs.files import RunFiles, run_name, store_folder
from training.runs.marketplace_data import TEST, EvaluationTokens, checked_splits
from training.runs.published_run import learn_and_publish
from training.runs.publishing import RunState
from training.runs.steps import StepFiles
from training.stages.environment import run_folder_of


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
    parts = {name: splits.named() for name, splits in load_splits(data, sequence, configuration).items()}
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        method = SequentialFinetuning(MethodContext.of(configuration, Path(folder) / "method"))
        evaluation = EvaluationTokens.tokenized(
            lambda name, part: parts[name][part], sequence, (TEST,), method.tokenizer
        )
        run = SequenceRun(
            method,
            lambda name, part: parts[name][part],
            evaluation,
            StepFiles(Path(folder) / "steps"),
            Path(folder) / "translations",
            report,
        )
        steps = run.learn(sequence)
    write_json(
        output,
        {
            "method": method.name,
            "data": data,
            "sequence": list(sequence),
            "test_matrix": [step.test_auc for step in steps],
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
    method = method_of_the_paper(MethodContext.of(configuration, files.steps))  # may refuse the encoder
    files.begin(configuration, facts)
    report(f"run {files.folder}")
    return learn_and_publish(method, splits, model_store, files, report)


def method_of_the_paper(context: MethodContext) -> AttentionDistillation:
    """Attention distillation, on the new rows or on translated ones, as the configuration has it."""
    if context.configuration.distillation.on_new_data:
        return AttentionDistillation(context)
    return AttentionDistillationTranslation(context)


def load_splits(data: str, sequence: Sequence[str], configuration: TrainingConfiguration) -> Mapping[str, Splits]:
    """Read, check and split the marketplaces' rows."""
    source = parse_source(data)
    return checked_splits(source.load(sequence, configuration.seed), configuration, data)


def print_matrices(state: RunState, sequence: Sequence[str]) -> None:
    """Print test ROC-AUC per step and marketplace, beside the untrained encoder's cosine."""
    table = Table(title="Test ROC-AUC after every step (rows) on every marketplace (columns)")
    table.add_column("after")
    for name in sequence:
        table.add_column(name, justify="right")
    table.add_row("untrained cosine", *(_cell(state.zero_shot_test, name) for name in sequence))
    for learnt, row in zip(state.learnt, state.test_matrix, strict=True):
        table.add_row(learnt, *(_cell(row, name) for name in sequence))
    results.print(table)


def _cell(row: dict[str, float], name: str) -> str:
    return f"{row[name]:.4f}" if name in row else ""
