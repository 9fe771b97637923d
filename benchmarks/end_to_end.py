"""Strings in, scores out: the scorer with adapters against peers' plain encoders, in one process, in turn."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.progress import track

from benchmarks.encoders import Size, name_of, sampled_pairs, subject_of
from benchmarks.loaded import chosen_form, forms_of, loaded_version
from benchmarks.machine import machine
from benchmarks.peers import PEER, ScoreTexts, cross_encoders, write_cross_encoder
from model_store.product import QueryProductPair
from model_store.versions.loading import LoadedVersion
from service.engine.backends.choice import TORCH_FLOAT32
from service.engine.batching.token_budget import calibrated_token_budget
from service.engine.folded.network import FoldedNetwork
from service.engine.scorer import Scorer
from service.engine.versions.loading import CALIBRATION_ROWS
from training.data.sources import DataSource

BATCHES = (1, 32, 256)
_SMALL_CALLS = {1: 24, 32: 3, 256: 1}
"""Calls of each size in a round."""

Score = Callable[[Sequence[QueryProductPair]], object]


def end_to_end_benchmark(size: Size, adapters_count: int, rounds: int, data: DataSource) -> dict[str, Any]:
    """Pairs a second, and median and 99th percentile of the time of a call, for calls of 1, 32 and 256 pairs."""
    texts = sampled_pairs(data, 2048)
    subject = subject_of(size, texts)
    loaded = loaded_version(subject, adapters_count)
    auto = chosen_form(loaded.network, loaded.route)
    candidates = dict(_own(loaded, adapters_count, texts))
    with tempfile.TemporaryDirectory() as folder:
        candidates |= {
            name: _as_texts(predict)
            for name, predict in cross_encoders(write_cross_encoder(subject, Path(folder))).items()
        }
        times = _timed(candidates, texts, rounds)
    rows = {
        f"{batch} pairs": _compared({name: _figures(times[name][batch], batch) for name in candidates})
        for batch in BATCHES
    }
    return {
        "benchmark": "end_to_end",
        "size": size,
        "adapters": adapters_count,
        "auto": auto.name,
        "rounds": rounds,
        "data": name_of(data),
        "rows": rows,
        "machine": machine(),
    }


def _own(
    loaded: LoadedVersion, adapters_count: int, texts: Sequence[QueryProductPair]
) -> list[tuple[str, Score]]:
    networks = forms_of(loaded.network, loaded.route, lambda folded: _calibrated(loaded, folded, texts))
    return [
        (
            f"ours, {adapters_count} adapters, {choice.name}",
            Scorer(
                loaded,
                network,
                choice,
                token_budget=calibrated_token_budget(network, loaded.route, choice),
            ).score,
        )
        for choice, network in networks.items()
    ]


def _calibrated(loaded: LoadedVersion, folded: FoldedNetwork, texts: Sequence[QueryProductPair]) -> None:
    Scorer(loaded, folded, TORCH_FLOAT32).score(texts[-CALIBRATION_ROWS:])


def _as_texts(predict: ScoreTexts) -> Score:
    return lambda pairs: predict([(pair.query, pair.product.title) for pair in pairs])


def _timed(
    candidates: dict[str, Score], texts: list[QueryProductPair], rounds: int
) -> dict[str, dict[int, list[float]]]:
    times: dict[str, dict[int, list[float]]] = {name: {batch: [] for batch in BATCHES} for name in candidates}
    for score in candidates.values():
        score(texts[:32])  # warm
    place = 0
    for _ in track(range(rounds), description="rounds"):
        for batch in BATCHES:
            calls = [_asked(texts, place + number * batch, batch) for number in range(_SMALL_CALLS[batch])]
            place += batch * len(calls)
            for name, score in candidates.items():
                # Threads of the engine before it are still spinning: the first call is not counted.
                score(texts[:1])
                for asked in calls:
                    started = time.perf_counter()
                    score(asked)
                    times[name][batch].append(time.perf_counter() - started)
    return times


def _asked(texts: list[QueryProductPair], place: int, count: int) -> list[QueryProductPair]:
    return [texts[(place + number) % len(texts)] for number in range(count)]


def _compared(figures: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """Each engine's figures, and its rate as a multiple of the fastest peer's in the same precision."""
    peers: dict[str, float] = {}
    for name, found in figures.items():
        if name.startswith(PEER):
            precision = _precision(name)
            peers[precision] = max(peers.get(precision, 0.0), found["pairs/s"])
    rows: list[dict[str, Any]] = []
    for name, found in figures.items():
        best = peers.get(_precision(name))
        rows.append({"engine": name, **found, **({"of best peer": found["pairs/s"] / best} if best else {})})
    return rows


def _precision(engine: str) -> str:
    return next(precision for precision in ("float32", "bf16", "int8") if precision in engine)


def _figures(seconds: list[float], batch: int) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "pairs/s": batch / statistics.median(ordered),
        "p50 ms": 1000 * statistics.median(ordered),
        "p99 ms": 1000 * ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))],
    }
