"""Plans of seconds: the tiny encoder on a small catalogue."""

from __future__ import annotations

from pathlib import Path

import yaml

from training.experiments.plan.plan import ExperimentPlan

_STAGE = {"epochs": 2, "batch_size": 16, "learning_rate": 0.005}


def small_content(encoder: Path, **changes: object) -> dict[str, object]:
    settings = {
        "base_encoder": f"folder:{encoder}",
        "adapter": {"bottleneck": 8},
        "adapter_stage": _STAGE,
        "fusion_stage": {**_STAGE, "min_steps": 0},
        "finetuning_stage": _STAGE,
        "checkpoint_seconds": 0,
        "precision": "float32",  # as in the other tests of a process: it has one precision
    }
    return {
        "name": "small",
        "data": "catalogue:150",
        "settings": settings,
        "sequences": [["us", "es"], ["es", "us"]],
        "seeds": [0, 1],
        "methods": ["sequential_finetuning", "attention_distillation_translation"],
        **changes,
    }


def small_plan(encoder: Path, **changes: object) -> ExperimentPlan:
    return ExperimentPlan.model_validate(small_content(encoder, **changes))


def write_small_plan(path: Path, encoder: Path, **changes: object) -> Path:
    path.write_text(yaml.safe_dump(small_content(encoder, **changes)), encoding="utf-8")
    return path
