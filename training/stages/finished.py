"""A stage that is trained once: its weights are kept in its folder and read back when it is asked for again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from model_store.files import read_json, reading_back, replaced_path, write_json
from training.stages.loop import Stage, StageResult, run_stage

RESULT = "result.json"
WEIGHTS = "weights.safetensors"


def finished_stage(
    stage: Stage, network: nn.Module, accelerator: Accelerator, folder: Path, checkpoint_seconds: float
) -> StageResult:
    """Train a stage, or put back the weights that an earlier call kept.

    Args:
        folder: of this stage alone: its checkpoint while it is trained, then its weights and its result.

    Returns:
        The result; the network holds the best weights seen.
    """
    if is_finished(folder):
        _put_back(stage, folder / WEIGHTS)
        with reading_back(folder / RESULT):
            return StageResult(**(read_json(folder / RESULT) or {}))  # type: ignore[arg-type]
    result = run_stage(stage, network, accelerator, folder, checkpoint_seconds)
    accelerator.wait_for_everyone()  # the checkpoint goes only when all processes are done with the stage
    if accelerator.is_main_process:
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in _named(stage)}
        with replaced_path(folder / WEIGHTS, one_writer=True) as temporary:
            save_file(tensors, temporary)
        write_json(folder / RESULT, asdict(result))
        (folder / "checkpoint.safetensors").unlink(missing_ok=True)
    return result


def is_finished(folder: Path) -> bool:
    """Whether the folder's stage needs no training any more."""
    return read_json(folder / RESULT) is not None and (folder / WEIGHTS).is_file()


def _named(stage: Stage) -> Iterator[tuple[str, Tensor]]:
    for group, (parameters, _) in stage.parameters().items():
        for number, parameter in enumerate(parameters):
            yield f"{group}.{number}", parameter


def _put_back(stage: Stage, path: Path) -> None:
    with reading_back(path), torch.no_grad():
        tensors = load_file(path)
        for name, parameter in _named(stage):
            parameter.copy_(tensors[name])
