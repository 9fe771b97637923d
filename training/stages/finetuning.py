"""Full fine-tuning: every weight of the encoder and one head learn a marketplace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from model_store.network.head import SHARED_HEAD
from model_store.network.interaction import Route
from model_store.network.relevance_network import RelevanceNetwork, parameter_count
from training.stages.adapter import calibrate_cosine, task_losses, validation_auc
from training.stages.environment import TrainingEnvironment
from training.stages.labelled_tokens import Batch, LabelledTokens, MarketplaceRows, epoch_batches


class TrainableRows(nn.Module):
    """Trains the rows of an embedding that a data set uses.

    With Adam and no weight decay this is exactly full training: a row without gradient does not move. A
    multilingual vocabulary has a quarter of a million rows of which a marketplace uses a few thousand; moments
    and steps for the rest would be most of the work.

    Args:
        embedding: the whole embedding, frozen meanwhile.
        token_ids: those that occur in the data.
    """

    def __init__(self, embedding: nn.Embedding, token_ids: Tensor) -> None:
        super().__init__()
        self.whole = embedding
        used = torch.unique(token_ids).to(embedding.weight.device)
        self.register_buffer("used", used, persistent=False)
        places = torch.full((embedding.num_embeddings,), -1, dtype=torch.int64, device=used.device)
        places[used] = torch.arange(len(used), device=used.device)
        self.register_buffer("places", places, persistent=False)
        self.rows = nn.Parameter(embedding.weight.detach()[used].clone())

    def forward(self, token_ids: Tensor) -> Tensor:
        """(texts, tokens) ids to (texts, tokens, hidden)."""
        places: Tensor = self.places[token_ids]  # type: ignore[index]
        trained = nn.functional.embedding(places.clamp_min(0), self.rows)
        frozen = nn.functional.embedding(token_ids, self.whole.weight)
        return torch.where((places >= 0).unsqueeze(-1), trained, frozen)

    def merged(self) -> nn.Embedding:
        """The whole embedding with the trained rows in it."""
        with torch.no_grad():
            self.whole.weight[self.used] = self.rows  # type: ignore[index]
        return self.whole


_ROWS = "rows"


class FinetuningStage:
    """Cross-entropy on a marketplace's rows with every weight of the encoder trainable.

    The encoder's vocabulary must be `TrainableRows` of the marketplace's tokens.
    """

    def __init__(self, environment: TrainingEnvironment, rows: MarketplaceRows, seed: int) -> None:
        self.name = f"{rows.marketplace} fine-tuning"
        self.configuration = environment.configuration.finetuning_stage
        self._environment, self._rows, self._seed = environment, rows, seed

    def parameters(self) -> dict[str, tuple[list[nn.Parameter], float]]:
        """All weights of the encoder, and the head; of the vocabulary, the rows that occur in the data."""
        network = self._environment.network
        encoder = encoder_parameters(network)
        head = list(network.heads.parameters_of(SHARED_HEAD))
        network.train_only([*encoder, *head])
        rate = self.configuration.learning_rate
        return {"encoder": (encoder, rate), "head": (head, self.configuration.head_learning_rate or rate)}

    def batches(self, epoch: int) -> Sequence[Batch]:
        """Shuffled batches of the marketplace's training rows."""
        return epoch_batches({_ROWS: len(self._rows.train)}, self.configuration.batch_size, self._seed, epoch)

    def losses(self, batch: Batch, rank: int, processes: int) -> Iterator[tuple[Tensor, dict[str, float]]]:
        """Cross-entropy of each micro-batch."""
        rows = batch.rows[rank::processes]
        yield from task_losses(self._environment, self._rows.train, rows, len(batch.rows), Route(), 0)

    def validate(self) -> float:
        """ROC-AUC on the marketplace's validation rows."""
        return validation_auc(self._environment, self._rows.validation, Route(), 0)


def encoder_parameters(network: RelevanceNetwork) -> list[nn.Parameter]:
    """The encoder's weights; of a vocabulary with trainable rows, these rows alone."""
    words = network.encoder.word_embeddings
    assert isinstance(words, TrainableRows)
    return [parameter for parameter in network.encoder.parameters() if parameter is not words.whole.weight]


def use_vocabulary_rows(network: RelevanceNetwork, token_ids: Tensor) -> TrainableRows:
    """Make the vocabulary's rows of these tokens trainable, from the whole vocabulary as it is."""
    words = network.encoder.word_embeddings
    whole = words.whole if isinstance(words, TrainableRows) else words
    assert isinstance(whole, nn.Embedding)
    rows = TrainableRows(whole, token_ids)
    network.encoder.replace_word_embeddings(rows)
    return rows


def add_calibrated_head(environment: TrainingEnvironment, name: str, train: LabelledTokens) -> None:
    """Add a head, or begin it anew: a similarity head as the calibrated cosine of the encoder as it is."""
    heads = environment.network.heads
    heads.add(name)
    heads.to(environment.device)
    if heads.configuration.kind == "similarity":
        calibrate_cosine(environment, name, train)


def whole_model_parameters(network: RelevanceNetwork) -> int:
    """Weights of the encoder with its whole vocabulary, and of one head.

    Full fine-tuning trains them all: a row of the vocabulary that no text holds has no gradient and stays.
    """
    words = network.encoder.word_embeddings
    whole = words.whole.weight if isinstance(words, TrainableRows) else words.weight
    assert isinstance(whole, torch.Tensor)
    counted = [
        parameter for name, parameter in network.encoder.named_parameters() if "word_embeddings" not in name
    ]
    return parameter_count(counted) + whole.numel() + network.heads.feature_size + 1
