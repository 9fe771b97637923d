"""Sequential fine-tuning, the baseline that forgets: measured on request, else figures that were kept.

    python -m scripts.demo --baseline --seed 1
    python -m scripts.demo.baseline demo/sequential_finetuning-seed0.json demo/sequential_finetuning-seed1.json

The second keeps the means of what the first one, or several of it, measured on the bundled catalogue.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from model_store.files import write_json
from scripts.demo.request import DemoRequest
from training.configuration import load_configuration
from training.stages.progress import ProgressListener, progress_listener

KEPT = Path(__file__).with_name("kept_baseline.json")
_DETERMINES = ("base_encoder", "pair_encoding", "head", "finetuning_stage", "validation_share", "test_share")
"""Fields of the configuration that the baseline depends on, beside the seed."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Test ROC-AUC after each step on each marketplace, and what it was measured with.

    Figures of several seeds are means over them. `configuration` has the fields that they depend on.
    """

    data: str
    sequence: list[str]
    test_matrix: list[dict[str, float]]
    trainable_parameters: int
    seconds: float
    seeds: list[int]
    hardware: str
    commit: str
    configuration: dict[str, Any]

    @property
    def source(self) -> str:
        """Where the figures come from, in words."""
        seeds = f"seed {self.seeds[0]}" if len(self.seeds) == 1 else f"mean of seeds {_listed(self.seeds)}"
        return f"{self.data}, {seeds}, {self.hardware}, commit {self.commit[:10]}"


def measure(request: DemoRequest, listener: ProgressListener) -> Baseline:
    """Fine-tune on one marketplace after another; also written to `sequential_finetuning-seedN.json`."""
    import torch

    from training.commands.continual import finetune_sequentially
    from training.experiments.running.machine import commit, hardware

    path = request.folder / f"sequential_finetuning-seed{request.seed}.json"
    with progress_listener(listener):
        overrides = request.overrides(translation="none")
        finetune_sequentially(request.data, request.sequence, request.preset, overrides, path, _in_silence)
    found = json.loads(path.read_text(encoding="utf-8"))
    baseline = Baseline(
        data=found["data"],
        sequence=found["sequence"],
        test_matrix=found["test_matrix"],
        trainable_parameters=found["trainable_parameters"],
        seconds=round(found["seconds"], 1),
        seeds=[request.seed],
        hardware=hardware(torch.get_num_threads()),
        commit=commit(),
        configuration=_determining(found["configuration"]),
    )
    write_json(path, asdict(baseline))
    return baseline


def kept(request: DemoRequest, path: Path = KEPT) -> Baseline | None:
    """The kept figures if they are of the data, the sequence and the configuration asked for."""
    if not path.is_file():
        return None
    baseline = Baseline(**json.loads(path.read_text(encoding="utf-8")))
    configuration = load_configuration(request.preset, request.overrides(translation="none"))
    asked = (request.data, list(request.sequence), _determining(configuration.model_dump(mode="json")))
    return baseline if asked == (baseline.data, baseline.sequence, baseline.configuration) else None


def keep(files: Sequence[Path], path: Path = KEPT) -> Baseline:
    """Keep the means of measured figures.

    Raises:
        ValueError: they differ in data, sequence, configuration, hardware or commit, or are of one seed twice.
    """
    found = [Baseline(**json.loads(file.read_text(encoding="utf-8"))) for file in files]
    first = found[0]
    for field in ("data", "sequence", "configuration", "trainable_parameters", "hardware", "commit"):
        if any(getattr(one, field) != getattr(first, field) for one in found):
            raise ValueError(f"{field} differs between {', '.join(map(str, files))}")
    seeds = sorted(seed for one in found for seed in one.seeds)
    if len(set(seeds)) != len(seeds) or len(seeds) != len(found):
        raise ValueError(f"each file must be of one seed, which differs from the others': {seeds}")
    matrices = [one.test_matrix for one in found]
    baseline = Baseline(
        data=first.data,
        sequence=first.sequence,
        test_matrix=[_mean([matrix[step] for matrix in matrices]) for step in range(len(first.test_matrix))],
        trainable_parameters=first.trainable_parameters,
        seconds=round(statistics.mean(one.seconds for one in found), 1),
        seeds=seeds,
        hardware=first.hardware,
        commit=first.commit,
        configuration=first.configuration,
    )
    write_json(path, asdict(baseline))
    return baseline


def _mean(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: statistics.mean(row[name] for row in rows) for name in rows[0]}


def _determining(configuration: Mapping[str, Any]) -> dict[str, Any]:
    return {name: configuration[name] for name in _DETERMINES}


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _in_silence(text: str) -> None:
    """The demo's own line tells how it gets on."""


def main(files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False)]) -> None:
    """Keep the means of what these files hold, as figures for later reports."""
    try:
        typer.echo(f"{KEPT}: {keep(files).source}")
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


if __name__ == "__main__":
    typer.run(main)
