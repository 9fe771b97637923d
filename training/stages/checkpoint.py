"""A stage's checkpoint: one safetensors file, replaced atomically, from which it goes on exactly."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from model_store.files import reading_back, replaced_path

_ADAM = ("exp_avg", "exp_avg_sq", "step")


@dataclass(slots=True)
class LoopState:
    """Where a stage stands: next step of an epoch, and the best weights so far."""

    epoch: int = 0
    step: int = 0
    best_auc: float = -1.0
    kept_auc: float = -1.0
    best_epoch: int = 0
    best: list[Tensor] | None = None
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)

    def steps_done(self, steps_per_epoch: int) -> int:
        """Optimiser steps since the stage began."""
        return self.epoch * steps_per_epoch + self.step


def save_checkpoint(
    path: Path, state: LoopState, parameters: list[nn.Parameter], optimizer: torch.optim.Optimizer
) -> None:
    """Write weights, Adam's moments, random state and position; a crash leaves the older file whole."""
    tensors = {f"weight.{number}": parameter.detach() for number, parameter in enumerate(parameters)}
    tensors |= {f"best.{number}": best for number, best in enumerate(state.best or [])}
    for number, parameter in enumerate(parameters):
        for name in _ADAM:
            if name in optimizer.state[parameter]:
                tensors[f"adam.{number}.{name}"] = optimizer.state[parameter][name]
    tensors["random.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    position = {
        "epoch": state.epoch,
        "step": state.step,
        "best_auc": state.best_auc,
        "kept_auc": state.kept_auc,
        "best_epoch": state.best_epoch,
        "seconds": state.seconds,
        "history": state.history,
    }
    contiguous = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    with replaced_path(path, one_writer=True) as temporary:
        save_file(contiguous, temporary, metadata={"position": json.dumps(position)})


def load_checkpoint(path: Path, parameters: list[nn.Parameter], optimizer: torch.optim.Optimizer) -> LoopState:
    """Put weights, moments and random state back, and return the position.

    Raises:
        StoreError: the file is damaged.
    """
    with reading_back(path), safe_open(path, framework="pt") as file:
        names = set(file.keys())
        state = LoopState(**json.loads(file.metadata()["position"]))
        with torch.no_grad():
            for number, parameter in enumerate(parameters):
                parameter.copy_(file.get_tensor(f"weight.{number}"))
        state.best = [
            file.get_tensor(f"best.{number}").to(parameter.device) for number, parameter in enumerate(parameters)
        ]
        for number, parameter in enumerate(parameters):
            for name in _ADAM:
                key = f"adam.{number}.{name}"
                if key in names:
                    value = file.get_tensor(key)
                    optimizer.state[parameter][name] = value if name == "step" else value.to(parameter.device)
        torch.set_rng_state(file.get_tensor("random.cpu"))
        if "random.cuda" in names and torch.cuda.is_available():
            torch.cuda.set_rng_state(file.get_tensor("random.cuda"))
    return state
