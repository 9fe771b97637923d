"""The folded network on a GPU: replayed as CUDA graphs over a few shapes of batches; compiled where it can be."""

from __future__ import annotations

import os
import shutil
from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor

from model_store.network.interaction import AttentionMaps, Route
from model_store.network.relevance_network import RelevanceNetwork
from service.engine.folded.network import FoldedNetwork

_FINE_TOKENS, _COARSE_TOKENS = 16, 64
_FINE_UP_TO = 128
Shape = tuple[int, int]
"""Texts and tokens."""


def bucket_of(texts: int, tokens: int) -> Shape:
    """The smallest shape that holds a batch: a power of two of texts; tokens in steps of 16, above 128 of 64."""
    step = _FINE_TOKENS if tokens <= _FINE_UP_TO else _COARSE_TOKENS
    return 1 << max(0, texts - 1).bit_length(), -(-tokens // step) * step


def filled(hidden: Tensor, mask: Tensor, into_hidden: Tensor, into_mask: Tensor) -> None:
    """Copy a batch into the corner of a larger one, the rest of which becomes padding.

    Args:
        hidden: (texts, tokens, hidden); `mask` (texts, tokens) bool, False at padding.
        into_hidden: at least as large in every dimension; `into_mask` likewise.
    """
    texts, tokens = mask.shape
    into_hidden.zero_()
    into_hidden[:texts, :tokens].copy_(hidden)
    into_mask.zero_()
    # A text of padding alone has nothing to attend to; its result is not used, but must be a number.
    into_mask[:, 0] = True
    into_mask[:texts, :tokens].copy_(mask.to(torch.bool))


MAX_GRAPHS = 64
_WARM_UP_RUNS = 3


@dataclass(frozen=True, slots=True)
class _Captured:
    graph: torch.cuda.CUDAGraph
    hidden: Tensor
    mask: Tensor
    output: Tensor


def _has_compiler() -> bool:
    """Whether there is the C compiler with which Triton builds what starts its kernels."""
    return bool(os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang"))


class GraphedNetwork(FoldedNetwork):
    """As `FoldedNetwork`; a batch is padded to a shape whose graph is replayed, without a launch per operator.

    A graph is captured when its shape first comes; of more than `MAX_GRAPHS` the least recently used is dropped.
    All share one memory pool, so one thread may use the network at a time.
    """

    def __init__(self, network: RelevanceNetwork, route: Route, dtype: torch.dtype = torch.bfloat16) -> None:
        super().__init__(network, route, dtype)
        if _has_compiler():
            for layer in self.encoder_layers:
                layer.compile(dynamic=True)
        self._graphs: OrderedDict[tuple[Shape, int, int], _Captured] = OrderedDict()
        self._pool = torch.cuda.graph_pool_handle()

    def run_layers(
        self,
        hidden: Tensor,
        mask: Tensor,
        padded: bool,
        route: Route,
        maps: AttentionMaps | None,
        first: int = 0,
        last: int | None = None,
    ) -> Tensor:
        """As in `PairNetwork`; explanations are computed without graphs."""
        last = self.depth if last is None else last
        if maps is not None or first == last or route != self.route:
            return super().run_layers(hidden, mask, padded, route, maps, first, last)
        texts, tokens = mask.shape
        captured = self._captured(bucket_of(texts, tokens), first, last)
        filled(hidden, mask, captured.hidden, captured.mask)
        captured.graph.replay()
        # Copied: the next replay writes into the same memory.
        return captured.output[:texts, :tokens].clone()

    def _captured(self, shape: Shape, first: int, last: int) -> _Captured:
        key = (shape, first, last)
        if key not in self._graphs:
            self._graphs[key] = self._capture(shape, first, last)
            if len(self._graphs) > MAX_GRAPHS:
                self._graphs.popitem(last=False)
        self._graphs.move_to_end(key)
        return self._graphs[key]

    def _capture(self, shape: Shape, first: int, last: int) -> _Captured:
        hidden = torch.zeros(*shape, self.hidden_size, device=self.device)
        mask = torch.ones(shape, dtype=torch.bool, device=self.device)

        def run() -> Tensor:
            return FoldedNetwork.run_layers(self, hidden, mask, True, self.route, None, first, last)

        side = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP_RUNS):
                run()
        torch.cuda.current_stream(self.device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            output = run()
        return _Captured(graph, hidden, mask, output)
