"""A marketplace's rows as the run uses them: checked, split by query, tokenized."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model_store.encoding.tokens import PairTokenizer
from training.configuration import TrainingConfiguration
from training.data.pairs import RelevancePair
from training.data.splits import Splits, check_trainable, split_by_query
from training.stages.labelled_tokens import LabelledTokens


def checked_splits(
    data: Mapping[str, Sequence[RelevancePair]], configuration: TrainingConfiguration, source: str
) -> dict[str, Splits]:
    """Split every marketplace by query, and refuse what cannot be trained on before any time is spent.

    Raises:
        InputError: an empty marketplace, one class only, or too few rows for a ROC-AUC; named.
    """
    splits = {}
    for marketplace, pairs in data.items():
        splits[marketplace] = split_by_query(
            pairs,
            seed=configuration.seed,
            validation_fraction=configuration.validation_share,
            test_fraction=configuration.test_share,
        )
        check_trainable(splits[marketplace], marketplace, source)
    return splits


@dataclass(frozen=True, slots=True)
class EvaluationTokens:
    """Validation and test rows of one marketplace, tokenized."""

    validation: LabelledTokens
    test: LabelledTokens

    @classmethod
    def of(cls, rows: Mapping[str, Sequence[RelevancePair]], tokenizer: PairTokenizer) -> EvaluationTokens:
        """Tokenize the rows under "validation" and "test"."""
        return cls(LabelledTokens.of(rows["validation"], tokenizer), LabelledTokens.of(rows["test"], tokenizer))
