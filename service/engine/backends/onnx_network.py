"""The folded network with its layers on ONNX Runtime; embeddings and heads stay in torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from model_store.encoding.batch import TextBatch
from model_store.network.interaction import AttentionMaps, PairNetwork, Route
from service.engine.folded.fold import LayerRange
from service.engine.folded.network import FoldedNetwork


class OnnxNetwork(PairNetwork):
    """Scores as the folded network that its graphs were made of.

    Args:
        folded: gives embeddings and heads; its layers are not kept.
        graphs: a serialised ONNX model for each of `layer_ranges`.
        threads: of ONNX Runtime, for one batch at a time.
    """

    def __init__(self, folded: FoldedNetwork, graphs: Mapping[LayerRange, bytes], threads: int) -> None:
        super().__init__(folded.pair_encoding, folded.heads.configuration, folded.depth, folded.hidden_size)
        self.heads = folded.heads
        self.route = folded.route
        self.embeddings = folded.embeddings
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self._sessions: dict[LayerRange, Any] = {
            layers: onnxruntime.InferenceSession(graph, options, providers=_providers())
            for layers, graph in graphs.items()
        }

    @property
    def device(self) -> torch.device:
        """Where embeddings and heads are; the layers' input and output pass through the CPU's memory."""
        return next(self.heads.parameters()).device

    def embed(self, texts: TextBatch) -> Tensor:
        """As in `PairNetwork`."""
        hidden: Tensor = self.embeddings(texts)
        return hidden

    def run_layers(
        self,
        hidden: Tensor,
        mask: Tensor,
        padded: bool,  # noqa: ARG002 - the mask says it
        route: Route,
        maps: AttentionMaps | None,
        first: int = 0,
        last: int | None = None,
    ) -> Tensor:
        """As in `PairNetwork`.

        Raises:
            ValueError: the route is not the one that was folded, or no graph has just these layers.
        """
        last = self.depth if last is None else last
        if first == last:
            return hidden
        session = self._sessions.get((first, last))
        if session is None or route != self.route:
            raise ValueError(f"there is no graph for layers {first} to {last} of {route}")
        inputs = {"hidden": hidden.cpu().numpy(), "mask": mask.cpu().numpy().astype(np.int32)}
        if maps is None:
            return torch.from_numpy(session.run(["output"], inputs)[0]).to(hidden.device)
        names = [output.name for output in session.get_outputs()]
        outputs = dict(zip(names, session.run(names, inputs), strict=True))
        attention = outputs.get("attention", np.ones((last - first, *mask.shape, 1), dtype=np.float32))
        for layer in torch.from_numpy(attention).to(hidden.device):
            maps.append(layer.clamp_min(torch.finfo(torch.float32).tiny).log(), mask)
        return torch.from_numpy(outputs["output"]).to(hidden.device)


def _providers() -> list[str]:
    available = onnxruntime.get_available_providers()
    return [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in available]
