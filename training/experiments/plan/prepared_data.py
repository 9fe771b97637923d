"""The rows of a plan, read and split once for all runs that share them, with the untrained encoder's scores."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save

from model_store.files import read_json, reading_back, write_bytes_atomically, write_json
from model_store.metrics import roc_auc
from model_store.network.configuration import HeadConfiguration
from training.configuration import TrainingConfiguration
from training.data.pairs import RelevancePair
from training.data.sources import parse_source
from training.data.splits import Splits, check_trainable, read_pairs, split_fold, write_pairs
from training.experiments.plan.planned_run import PlannedRun
from training.runs.marketplace_data import checked_splits
from training.stages.environment import new_network, prepare_environment
from training.stages.labelled_tokens import LabelledTokens, zero_shot_cosine

_FACTS = "rows.json"


@dataclass(frozen=True, slots=True)
class PreparedData:
    """Files of one seed and fold under a plan's output folder, shared by all methods.

    Args:
        root: the plan's folder for data.
        run: any run that uses them.
    """

    root: Path
    run: PlannedRun

    @property
    def folder(self) -> Path:
        """Where the rows lie: another one for whatever changes them."""
        fold = "" if self.run.fold is None else f".fold{self.run.fold}"
        return self.root / f"seed{self.run.seed}{fold}.{_digest(self._facts())}"

    @property
    def key(self) -> Path:
        """The same for all runs that one preparation serves."""
        return self._zero_shot_path

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to prepare."""
        return self._zero_shot_path.is_file() and self._cosine_path.is_file()

    def prepare(self) -> None:
        """Write what is missing.

        Raises:
            InputError: a marketplace that is not there, or that nothing can be learnt from.
        """
        if not (self.folder / _FACTS).is_file():
            self._write_rows()
        if not self.is_complete:
            self._measure_untrained()

    def rows(self, marketplace: str, part: str) -> list[RelevancePair]:
        """The pairs of a marketplace's "train", "validation" or "test" part."""
        return read_pairs(self.folder / marketplace / f"{part}.jsonl")

    def zero_shot(self) -> dict[str, float]:
        """ROC-AUC of the untrained encoder's cosine on every marketplace's test rows."""
        content = read_json(self._zero_shot_path)
        assert content is not None
        with reading_back(self._zero_shot_path):
            return {name: float(str(auc)) for name, auc in content.items()}

    def untrained_cosine(self) -> dict[str, np.ndarray]:
        """(N) cosine of the untrained encoder for every marketplace's test rows."""
        with reading_back(self._cosine_path):
            return load_file(self._cosine_path)

    @property
    def _cosine_path(self) -> Path:
        return self._zero_shot_path.with_suffix(".safetensors")

    @property
    def _zero_shot_path(self) -> Path:
        configuration = _of_cosine(self.run.configuration)
        shown = {
            "encoder": configuration.base_encoder,
            "pairs": configuration.pair_encoding.model_dump(mode="json"),
        }
        return self.folder / f"zero-shot.{_digest(shown)}.json"

    def _facts(self) -> dict[str, object]:
        run = self.run
        shares = {"validation": run.configuration.validation_share, "test": run.configuration.test_share}
        return {
            "data": run.data,
            "marketplaces": list(run.marketplaces),
            "seed": run.seed,
            "fold": run.fold,
            "folds": run.folds,
            "shares": shares,
        }

    def _write_rows(self) -> None:
        run = self.run
        pairs = parse_source(run.data).load(run.marketplaces, run.seed)
        for name, splits in _split(pairs, run).items():
            for part, rows in splits.named().items():
                write_pairs(self.folder / name / f"{part}.jsonl", rows)
        write_json(self.folder / _FACTS, self._facts())

    def _measure_untrained(self) -> None:
        configuration = _of_cosine(self.run.configuration)
        environment = prepare_environment(configuration, *new_network(configuration))
        aucs, cosines = {}, {}
        for name in self.run.marketplaces:
            test = LabelledTokens.of(self.rows(name, "test"), environment.tokenizer)
            cosines[name] = zero_shot_cosine(environment.network, environment.tokenizer, test)
            aucs[name] = roc_auc(test.labels, cosines[name])
        write_bytes_atomically(self._cosine_path, save(cosines))
        write_json(self._zero_shot_path, aucs)


def _of_cosine(configuration: TrainingConfiguration) -> TrainingConfiguration:
    """Query and product are encoded apart for the cosine, whatever a method's interaction and head."""
    encoding = configuration.pair_encoding.model_copy(update={"interaction": "two_tower"})
    return configuration.model_copy(update={"pair_encoding": encoding, "head": HeadConfiguration()})


def _split(pairs: Mapping[str, Sequence[RelevancePair]], run: PlannedRun) -> dict[str, Splits]:
    if run.fold is None or run.folds is None:
        return checked_splits(pairs, run.configuration, run.data)
    splits = {}
    for name, rows in pairs.items():
        splits[name] = split_fold(
            rows,
            fold=run.fold,
            folds=run.folds,
            seed=run.seed,
            validation_fraction=run.configuration.validation_share,
        )
        check_trainable(splits[name], name, f"{run.data}, fold {run.fold} of {run.folds}")
    return splits


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
