"""How fast the forms of a network are on this machine: a text alone and a batch, through its first layers.

Which one is fastest depends on the processor, the threads and the libraries, so it is measured, not looked up.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping

import torch
from pydantic import BaseModel, ConfigDict

from model_store.network.interaction import PairNetwork, Route
from service.engine.backends.choice import EngineChoice
from service.engine.folded.network import FoldedNetwork

LAYERS = 2
"""Of the network, which are timed: the others cost the same."""

LEAST_GAIN = 1.5
"""What a form that rounds must be faster by than the fastest that does not."""

CALM_SHARE = 0.7
"""Of the cores' time, what forms get where no other work is in their way: threads that wait for others spin."""

_TOKENS = 32
_TEXTS = 8
_ROUNDS = 3
_CALLS_ALONE = 4
_HOPELESS = 10.0
"""Libraries without a fast product have one that is a thousand times slower; no batch of it is waited for, and no
second call where one takes `_PATIENCE_SECONDS`."""
_PATIENCE_SECONDS = 1.0


class Calm:
    """Whether this process had its cores for itself meanwhile: torch's threads and ONNX Runtime's never sleep."""

    def __init__(self) -> None:
        self._started, self._used = time.perf_counter(), time.process_time()

    @property
    def share(self) -> float:
        """Processor time so far, as a share of what the threads could have had."""
        cores = min(torch.get_num_threads(), os.cpu_count() or 1)
        return (time.process_time() - self._used) / ((time.perf_counter() - self._started) * cores)


class FormRate(BaseModel):
    """Tokens a second of a text alone and of texts in a batch, through the layers that are timed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alone: float
    batched: float

    @property
    def overall(self) -> float:
        """By which forms are compared: calls of one pair and of many count the same."""
        return math.sqrt(self.alone * self.batched)


FormRates = dict[str, FormRate]
"""By the form's name."""


def worthwhile(choices: list[EngineChoice], rates: Mapping[str, FormRate]) -> list[EngineChoice]:
    """The forms to be tried, the fastest first; where exact ones are among them, no slow one that rounds."""
    exact = max((rates[choice.name].overall for choice in choices if choice.is_exact), default=0.0)
    kept = [choice for choice in choices if choice.is_exact or rates[choice.name].overall >= LEAST_GAIN * exact]
    return sorted(kept, key=lambda choice: -rates[choice.name].overall)


@torch.inference_mode()
def measured_rates(networks: Mapping[EngineChoice, PairNetwork], route: Route) -> FormRates:
    """Rates of networks that have the same layers in different forms; each in turn, the best of some rounds."""
    calls = {choice: _Calls(network, route) for choice, network in networks.items()}
    reference = min((call.alone() for choice, call in calls.items() if choice.is_exact), default=math.inf)
    times: dict[EngineChoice, tuple[float, float]] = {}
    for choice, call in calls.items():
        alone = call.alone(_HOPELESS * reference)
        times[choice] = alone, _TEXTS * alone if alone > _HOPELESS * reference else call.batched()
    for _ in range(_ROUNDS):
        for choice, call in calls.items():
            alone, batched = times[choice]
            if alone <= _HOPELESS * reference:
                times[choice] = min(alone, call.alone()), min(batched, call.batched())
    return {
        choice.name: FormRate(alone=_TOKENS / alone, batched=_TEXTS * _TOKENS / batched)
        for choice, (alone, batched) in times.items()
    }


class _Calls:
    """Times of a network's layers on a text alone and on a batch, of random hidden states."""

    def __init__(self, network: PairNetwork, route: Route) -> None:
        self._network, self._route = network, route
        self._hidden = random_hidden(network.hidden_size)

    def alone(self, hopeless: float = math.inf) -> float:
        """Seconds, of several calls, unless the first takes longer than anything worth waiting for.

        It makes code for new shapes, and threads of another form may still be spinning.
        """
        first = self._seconds(1)
        if first > max(hopeless, _PATIENCE_SECONDS):
            return first
        return min(first, *(self._seconds(1) for _ in range(_CALLS_ALONE)))

    def batched(self) -> float:
        self._seconds(1)
        return self._seconds(_TEXTS)

    def _seconds(self, texts: int) -> float:
        hidden = self._hidden[:texts]
        mask = torch.ones(hidden.shape[:2], dtype=torch.bool)
        started = time.perf_counter()
        self._network.run_layers(hidden, mask, False, self._route, None)
        return time.perf_counter() - started


def random_hidden(size: int) -> torch.Tensor:
    """(texts, tokens, size): as layer norms give them."""
    return torch.randn(_TEXTS, _TOKENS, size, generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
def run_random(network: FoldedNetwork) -> None:
    """Compute random hidden states, so that a form that is only timed has scales for its inputs."""
    hidden = random_hidden(network.hidden_size)
    network.run_layers(hidden, torch.ones(hidden.shape[:2], dtype=torch.bool), False, network.route, None)
