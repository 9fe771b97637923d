"""Results of runs that never were, as the runner would have written them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import yaml

from model_store.metrics import roc_auc
from training.experiments.plan.plan import ExperimentPlan
from training.experiments.report.reading import read_runs
from training.experiments.running.run_result import FinalScores, RunResult, StepFacts, write_result
from training.experiments.statistics.runs import MarketplaceGroup

Matrix = Sequence[Mapping[str, float]]

US_ES = ["us", "es"]


def made_up_result(
    label: str,
    sequence: Sequence[str],
    matrix: Matrix,
    seed: int = 0,
    zero_shot: float | Mapping[str, float] = 0.6,
    **changes: object,
) -> RunResult:
    """A result with this R; everything else can be changed by name."""
    together = len(matrix) != len(sequence)
    fields: dict[str, object] = {
        "plan": "made_up",
        "method": label,
        "label": label,
        "title": label.replace("_", " ").capitalize(),
        "is_continual": True,
        "data": "catalogue:100",
        "sequence": tuple(sequence),
        "seed": seed,
        "test_matrix": tuple(matrix),
        "zero_shot": zero_shot if isinstance(zero_shot, Mapping) else dict.fromkeys(sequence, zero_shot),
        "test_rows": dict.fromkeys(sequence, 200),
        "steps": tuple(
            StepFacts(marketplace=name, seconds=10.0, trainable_parameters=590_000, train_rows=80)
            for name in (["all"] if together else sequence)
        ),
        "total_parameters": 22_100_000,
        "peak_memory_bytes": 500_000_000,
        "configuration": {"seed": seed, "base_encoder": "packaged:4", "translated_share": 0.3},
        "versions": {"torch": "2.13.0"},
        "commit": "0123abc",
        "hardware": "a processor, 2 cores, 2 threads",
        "started_at": datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        "seconds": 31.0,
        **changes,
    }
    return RunResult.model_validate(fields)


def scores_with_area(area: float, rows: int = 200, seed: int = 0) -> FinalScores:
    """Scores of `rows` pairs, half of them relevant, whose ROC-AUC is `area` to the nearest that there is."""
    generator = np.random.default_rng(seed)
    half = rows // 2
    negatives = np.arange(half, dtype=np.float32)
    right = round(area * half * half)
    below = np.full(half, right // half)
    below[: right % half] += 1
    labels = np.concatenate([np.ones(half), np.zeros(half)]).astype(np.float32)
    logits = np.concatenate([below - 0.5, negatives]).astype(np.float32)
    order = generator.permutation(rows)
    return FinalScores(labels=labels[order], logits=logits[order])


def write_run(runs: Path, result: RunResult, scores: Mapping[str, FinalScores] | None = None) -> RunResult:
    """Write a result with scores that have its ROC-AUC (to four decimals), or with these scores."""
    made = {name: scores_with_area(result.final[name], seed=result.seed) for name in result.sequence}
    chosen = dict(scores or made)
    final = {name: roc_auc(one.labels, one.logits) for name, one in chosen.items()}
    matrix = (*result.test_matrix[:-1], {**result.final, **final})
    kept = {name: one for name, one in chosen.items() if one.untrained is not None}
    untrained = {name: roc_auc(one.labels, np.asarray(one.untrained)) for name, one in kept.items()}
    result = result.model_copy(update={"test_matrix": matrix, "zero_shot": {**result.zero_shot, **untrained}})
    fold = "" if result.fold is None else f".fold{result.fold}"
    name = f"{result.label}.{'+'.join(result.sequence)}.seed{result.seed}{fold}"
    write_result(runs / name, result, chosen)
    return result


def drawn_scores(quality: float, seed: int, rows: int = 400) -> FinalScores:
    """Labels that depend on the seed alone, and logits with this much of the label in them."""
    labels = (np.arange(rows) % 2).astype(np.float32)
    noise = np.random.default_rng(seed).normal(size=rows)
    return FinalScores(labels=labels, logits=(quality * labels + noise).astype(np.float32))


def write_drawn(
    runs: Path,
    label: str,
    quality: float,
    seeds: tuple[int, ...] = (0, 1),
    noise: int = 0,
    more: Callable[[FinalScores], dict[str, object]] = lambda _: {},
    **changes: object,
) -> None:
    """Runs on us and es whose scores have this much of the label in them.

    Args:
        more: further fields of the scores of one marketplace.
    """
    for seed in seeds:
        scores = {name: drawn_scores(quality, 10 * seed + place + noise) for place, name in enumerate(US_ES)}
        scores = {name: one.model_copy(update=more(one)) for name, one in scores.items()}
        result = made_up_result(label, US_ES, [{"us": 0.5, "es": 0.5}] * 2, seed)
        write_run(runs, result.model_copy(update=changes), scores)


def write_plan(
    folder: Path, methods: Sequence[object], sequences: Sequence[Sequence[str]], **more: object
) -> None:
    """Write the plan that the results are of."""
    content = {"name": "made_up", "data": "catalogue:100", "sequences": [list(s) for s in sequences]}
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump({**content, "seeds": [0], "methods": list(methods), **more})
    (folder / "plan.yaml").write_text(text, encoding="utf-8")


def group_of(folder: Path) -> MarketplaceGroup:
    """The one group of the runs below a folder."""
    (group,) = read_runs(folder).groups
    return group


def write_two_methods(folder: Path, seeds: tuple[int, ...] = (0, 1), **changes: object) -> None:
    """Single Marketplace with 0.80 and 0.70; HAT with 0.82, then 0.81 and 0.69; the second seed 0.02 better."""
    for seed in seeds:
        more = 0.02 * seed
        single = [{"us": 0.80 + more, "es": 0.55}, {"us": 0.80 + more, "es": 0.70 + more}]
        hat = [{"us": 0.82 + more, "es": 0.65}, {"us": 0.81 + more, "es": 0.69 + more}]
        for result in (
            made_up_result(
                "single_marketplace", US_ES, single, seed, title="Single Marketplace", is_continual=False
            ),
            made_up_result("hat", US_ES, hat, seed, title="HAT"),
        ):
            write_run(folder / "runs", result.model_copy(update=changes))


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
