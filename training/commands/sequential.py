"""`training sequential`: the baseline that forgets, on the same data with the same configuration."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from training.commands.console import notes
from training.commands.continual import load_splits
from training.configuration import load_configuration
from training.evaluation import roc_auc
from training.methods.base import MarketplaceRows, MethodContext
from training.methods.sequential_finetuning import SequentialFinetuning
from training.overrides import Overrides
from training.runs.driver import Report
from training.runs.files import write_json
from training.stages.labelled_tokens import LabelledTokens


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
