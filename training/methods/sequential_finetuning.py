"""Sequential fine-tuning: the whole encoder and one head, on one marketplace after another.

The baseline that forgets. It is run by the same loop, on the same rows, with the same pair encoding and head.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from model_store.network import parameter_count
from model_store.pair_network import Route
from model_store.relevance_head import SHARED_HEAD
from training.adapter_stage import calibrate_cosine, task_losses, validation_auc
from training.batches import Batch, epoch_batches
from training.environment import TrainingEnvironment, seed_stage
from training.labelled_tokens import LabelledTokens
from training.loop import run_stage
from training.marketplace_data import EvaluationTokens
from training.stage_configuration import StageConfiguration
from training.trainable_rows import TrainableRows

_ROWS = "rows"


class FinetuningStage:
    """Cross-entropy on a marketplace's rows with every weight of the encoder trainable."""

    def __init__(
        self,
        environment: TrainingEnvironment,
        marketplace: str,
        train: LabelledTokens,
        validation: LabelledTokens,
        configuration: StageConfiguration,
        seed: int,
    ) -> None:
        self.name = f"{marketplace} fine-tuning"
        self.configuration = configuration
        self._environment, self._train, self._validation, self._seed = environment, train, validation, seed

    def parameters(self) -> dict[str, tuple[list[nn.Parameter], float]]:
        """All weights of the encoder, and the head; of the vocabulary, the rows that occur in the data."""
        network = self._environment.network
        words = network.encoder.word_embeddings
        assert isinstance(words, TrainableRows)
        encoder = [parameter for parameter in network.encoder.parameters() if parameter is not words.whole.weight]
        head = list(network.heads.parameters_of(SHARED_HEAD))
        network.train_only([*encoder, *head])
        rate = self.configuration.learning_rate
        return {"encoder": (encoder, rate), "head": (head, self.configuration.head_learning_rate or rate)}

    def batches(self, epoch: int) -> Sequence[Batch]:
        """Shuffled batches of the marketplace's training rows."""
        return epoch_batches({_ROWS: len(self._train)}, self.configuration.batch_size, self._seed, epoch)

    def losses(self, batch: Batch, rank: int, processes: int) -> Iterator[tuple[Tensor, dict[str, float]]]:
        """Cross-entropy of each micro-batch."""
        rows = batch.rows[rank::processes]
        yield from task_losses(self._environment, self._train, rows, len(batch.rows), Route(), 0)

    def validate(self) -> float:
        """ROC-AUC on the marketplace's validation rows."""
        return validation_auc(self._environment, self._validation, Route(), 0)


class SequentialFinetuning:
    """Learns marketplaces one after another in the same weights."""

    name = "sequential_finetuning"

    def __init__(self, environment: TrainingEnvironment, configuration: StageConfiguration, folder: Path) -> None:
        self._environment, self._configuration, self._folder = environment, configuration, folder

    def learn(self, marketplace: str, train: LabelledTokens, validation: LabelledTokens) -> None:
        """Fine-tune everything on one marketplace."""
        environment = self._environment
        network = environment.network
        if SHARED_HEAD not in network.heads.weights:
            network.heads.add(SHARED_HEAD)
            network.heads.to(network.device)
            if network.heads.configuration.kind == "similarity":
                calibrate_cosine(environment, SHARED_HEAD, train)
        seed = seed_stage(environment.configuration.seed, marketplace, self.name)
        whole = network.encoder.word_embeddings
        assert isinstance(whole, nn.Embedding)
        rows = TrainableRows(whole, train.token_ids(environment.tokenizer))
        network.encoder.replace_word_embeddings(rows)
        stage = FinetuningStage(environment, marketplace, train, validation, self._configuration, seed)
        seconds = environment.configuration.checkpoint_seconds
        run_stage(stage, network, environment.accelerator, self._folder / marketplace, seconds)
        network.encoder.replace_word_embeddings(rows.merged())

    def test_auc(self, data: Mapping[str, EvaluationTokens]) -> dict[str, float]:
        """ROC-AUC on the test rows of every marketplace with the weights as they are."""
        return {name: validation_auc(self._environment, tokens.test, Route(), 0) for name, tokens in data.items()}

    @property
    def trainable_parameters(self) -> int:
        """Weights that every step trains."""
        network = self._environment.network
        return parameter_count([*network.encoder.parameters(), *network.heads.parameters()])
