"""What the stages of one run share: network, tokenizer, device, precision, configuration, seeds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Generic

import numpy as np
import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast_object_list, set_seed
from transformers import PreTrainedModel
from typing_extensions import TypeVar

from model_store.encoders.base_encoders import parse_base_encoder
from model_store.encoders.completeness import token_limit
from model_store.encoding.tokens import PairTokenizer, TokenizedPairs
from model_store.errors import ConfigurationError
from model_store.network.fast_products import bf16_is_faster
from model_store.network.interaction import PairNetwork, Route
from model_store.network.relevance_network import RelevanceNetwork
from model_store.network.scoring import score_tokenized
from training.configuration import TrainingConfiguration


def new_network(configuration: TrainingConfiguration) -> tuple[RelevanceNetwork, PairTokenizer]:
    """The base encoder without any adapter or head, and its tokenizer."""
    encoder, tokenizer = parse_base_encoder(configuration.base_encoder).load()
    pair_tokenizer = PairTokenizer(tokenizer, configuration.pair_encoding, token_limit(encoder))
    return relevance_network(encoder, configuration), pair_tokenizer


def relevance_network(encoder: PreTrainedModel, configuration: TrainingConfiguration) -> RelevanceNetwork:
    """An encoder with room for adapters, fusion layers and heads, and none yet."""
    return RelevanceNetwork(
        encoder, configuration.pair_encoding, configuration.adapter, configuration.fusion, configuration.head
    )


_LONGEST_NAME = 200
"""Bytes of a run's name; file systems take 255."""

NetworkT = TypeVar("NetworkT", bound=PairNetwork, covariant=True, default=RelevanceNetwork)
_AnyNetwork = TypeVar("_AnyNetwork", bound=PairNetwork)


@dataclass(frozen=True, slots=True)
class TrainingEnvironment(Generic[NetworkT]):
    """Everything a stage needs beside its data."""

    configuration: TrainingConfiguration
    network: NetworkT
    tokenizer: PairTokenizer
    accelerator: Accelerator

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        device: torch.device = self.accelerator.device
        return device

    def logits(self, pairs: TokenizedPairs, route: Route, head: int) -> np.ndarray:
        """(N) float32 logits with the weights as they are, in the training's own precision."""
        heads = np.full(len(pairs), head, dtype=np.int64)
        budget = self.configuration.token_budget
        with self.accelerator.autocast():
            return score_tokenized(self.network, self.tokenizer, pairs, route, heads, token_budget=budget)


def make_accelerator(precision: str) -> Accelerator:
    """An accelerator with bf16 mixed precision where that is asked for, or where it is faster (`auto`)."""
    cpu = not torch.cuda.is_available()  # has to be said, or several processes on CPUs would never meet
    PartialState(cpu=cpu)  # joins the other processes, which then use what the first one measured
    [faster] = broadcast_object_list([bf16_is_faster()])
    mixed = {"float32": "no", "bf16": "bf16"}.get(precision) or ("bf16" if faster else "no")
    if AcceleratorState._shared_state and AcceleratorState().mixed_precision != mixed:
        # The library keeps the first precision for the whole process, which may train several runs. An
        # accelerator that is still in use keeps its own state.
        AcceleratorState._shared_state = type(AcceleratorState._shared_state)()
    return Accelerator(cpu=cpu, mixed_precision=mixed)


def prepare_environment(
    configuration: TrainingConfiguration, network: _AnyNetwork, tokenizer: PairTokenizer
) -> TrainingEnvironment[_AnyNetwork]:
    """Move the network to the device."""
    accelerator = make_accelerator(configuration.precision)
    network.to(accelerator.device)
    return TrainingEnvironment(configuration, network, tokenizer, accelerator)


def seed_stage(seed: int, *parts: object) -> int:
    """Seed all generators for one stage, independent of what ran before, and return the seed used."""
    digest = sum(ord(letter) * (place + 1) for place, letter in enumerate("/".join(map(str, parts))))
    value = (seed * 1_000_003 + digest) % (2**31)
    set_seed(value)
    return value


def run_folder_of(root: Path, run: str) -> Path:
    """Folder of a run inside the model store.

    Raises:
        ConfigurationError: the name would lead out of the store, or is none that a folder can have.
    """
    if run != Path(run).name or run.startswith(".") or not run.isprintable() or len(run.encode()) > _LONGEST_NAME:
        raise ConfigurationError(
            f"the run {run[:80]!r} has a name that no folder below {root / 'runs'} can have: use letters, "
            "digits, '-' and '_'"
        )
    return root / "runs" / run
