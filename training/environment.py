"""What the stages of one run share: network, tokenizer, device, precision, configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed

from model_store.base_encoders import parse_base_encoder
from model_store.network import RelevanceNetwork
from model_store.pair_tokens import PairTokenizer
from training.configuration import TrainingConfiguration


@dataclass(frozen=True, slots=True)
class TrainingEnvironment:
    """Everything a stage needs beside its data."""

    configuration: TrainingConfiguration
    network: RelevanceNetwork
    tokenizer: PairTokenizer
    accelerator: Accelerator

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        device: torch.device = self.accelerator.device
        return device


def make_accelerator(precision: str) -> Accelerator:
    """An accelerator with bf16 where the device computes it natively and `precision` allows it."""
    mixed = {"float32": "no", "bf16": "bf16"}.get(precision) or ("bf16" if _native_bf16() else "no")
    return Accelerator(mixed_precision=mixed)


def _native_bf16() -> bool:
    # on CPUs the gain on small models does not pay for the lost precision: ask for bf16 there
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)


def new_network(configuration: TrainingConfiguration) -> tuple[RelevanceNetwork, PairTokenizer]:
    """The base encoder without any adapter or head, and its tokenizer."""
    encoder, tokenizer = parse_base_encoder(configuration.base_encoder).load()
    network = RelevanceNetwork(
        encoder, configuration.pair_encoding, configuration.adapter, configuration.fusion, configuration.head
    )
    positions = int(encoder.config.max_position_embeddings)
    return network, PairTokenizer(tokenizer, configuration.pair_encoding, positions)


def prepare_environment(
    configuration: TrainingConfiguration, network: RelevanceNetwork, tokenizer: PairTokenizer
) -> TrainingEnvironment:
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
    """Folder of a run inside the model store."""
    return root / "runs" / run
