"""`training sequential`: the baseline that forgets, on the same data with the same configuration."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from training.commands.console import notes
from training.commands.continual import load_splits
from training.configuration import load_configuration
from training.environment import prepare_environment
from training.labelled_tokens import LabelledTokens
from training.marketplace_data import EvaluationTokens
from training.methods.sequential_finetuning import SequentialFinetuning
from training.new_network import new_network
from training.overrides import Overrides
from training.run_files import write_json


def finetune_sequentially(
    data: str, sequence: Sequence[str], preset: str, overrides: Overrides, output: Path
) -> None:
    """Fine-tune on one marketplace after another and write the matrix of test ROC-AUC."""
    configuration = load_configuration(preset, overrides)
    splits = load_splits(data, sequence, configuration)
    network, tokenizer = new_network(configuration)
    environment = prepare_environment(configuration, network, tokenizer)
    evaluation = {
        name: EvaluationTokens.of({"validation": parts.validation, "test": parts.test}, tokenizer)
        for name, parts in splits.items()
    }
    started = time.monotonic()
    matrix: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        method = SequentialFinetuning(environment, configuration.finetuning_stage, Path(folder))
        for marketplace, parts in splits.items():
            train = LabelledTokens.of(parts.train, tokenizer)
            method.learn(marketplace, train, evaluation[marketplace].validation)
            matrix.append(method.test_auc(evaluation))
            known = "  ".join(f"{name} {auc:.4f}" for name, auc in matrix[-1].items())
            notes.print(f"fine-tuned on {marketplace}: test ROC-AUC {known}")
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
