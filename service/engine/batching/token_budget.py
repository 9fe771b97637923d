"""How many tokens a batch should hold: measured once for a machine and a form of network, then remembered.

Small batches leave the processor idle between operators; large ones fall out of its caches. Where the best size
lies depends on both, and the difference is worth 10 to 20 %.
"""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import torch

from model_store.encoding.batch import TextBatch
from model_store.files import write_text_atomically
from model_store.network.interaction import PairNetwork, Route
from model_store.settings import ModelStoreSettings
from service.engine.backends.choice import EngineChoice
from service.engine.backends.machine import machine_key, threads_beside, torch_threads
from service.engine.folded.fold import layer_ranges

CPU_BUDGETS = (256, 512, 1024, 2048, 4096)
GPU_BUDGETS = (4096, 8192, 16384, 32768)
_TOKENS_PER_TEXT = 32
_ROUNDS = 3
_ENOUGH = 0.96
_log = logging.getLogger(__name__)


def calibrated_token_budget(network: PairNetwork, route: Route, choice: EngineChoice) -> int:
    """The smallest budget with nearly the highest rate of tokens; some seconds at the first call on a machine."""
    path = ModelStoreSettings().relevance_cache / "token-budgets.json"
    key = _key(network, route, choice)
    known = _read(path)
    if key not in known:
        started = time.perf_counter()
        with torch_threads(threads_beside(choice.backend)):
            known[key] = _measured(network, route)
        _log.info("token budget %d, measured in %.1f s", known[key], time.perf_counter() - started)
        try:
            write_text_atomically(path, json.dumps(known, indent=2, sort_keys=True) + "\n")
        except OSError as error:
            _log.warning("%s cannot be written (%s): the token budget is measured at every start", path, error)
    return known[key]


@torch.inference_mode()
def _measured(network: PairNetwork, route: Route) -> int:
    on_gpu = network.device.type == "cuda"
    budgets = GPU_BUDGETS if on_gpu else CPU_BUDGETS
    batches = {budget: _batch(budget // _TOKENS_PER_TEXT, network.device) for budget in budgets}
    last = layer_ranges(network)[0][1]
    best: dict[int, float] = {}
    for _ in range(_ROUNDS):
        for budget, batch in batches.items():
            started = time.perf_counter()
            # Read back, so that a GPU has finished.
            network.encode_texts(batch, route, layers=last).sum().item()
            rate = budget / (time.perf_counter() - started)
            best[budget] = max(best.get(budget, 0.0), rate)
    enough = _ENOUGH * max(best.values())
    # The smallest that is good: it pads less, and a small call waits less for a batch of another one.
    return min(budget for budget, rate in best.items() if rate >= enough)


def _batch(texts: int, device: torch.device) -> TextBatch:
    ids = torch.ones(texts, _TOKENS_PER_TEXT, dtype=torch.int64)
    mask = torch.ones(texts, _TOKENS_PER_TEXT, dtype=torch.bool)
    # One padded row, as in most batches.
    mask[0, -1] = False
    return TextBatch(ids, torch.zeros_like(ids), mask, mask.long(), True).to(device)


def _read(path: Path) -> dict[str, int]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {str(key): int(value) for key, value in content.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):  # damaged: measured again
        return {}


def _key(network: PairNetwork, route: Route, choice: EngineChoice) -> str:
    device = torch.cuda.get_device_name(network.device) if network.device.type == "cuda" else machine_key()
    shape = f"{network.depth} layers of {network.hidden_size}, {len(route.adapters)} adapters"
    return f"{choice.name}, {shape}, {device}"
