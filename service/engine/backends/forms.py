"""A network in the forms in which it can be served, and the files that each of them needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from model_store.network.interaction import PairNetwork, Route
from model_store.network.relevance_network import RelevanceNetwork
from service.engine.backends.choice import TORCH_FLOAT32, EngineChoice
from service.engine.backends.int8_linear import InputRange
from service.engine.backends.int8_network import (
    InputRanges,
    Int8Network,
    ranges_as_file,
    ranges_of_file,
    watched_inputs,
)
from service.engine.folded.fold import layer_ranges
from service.engine.folded.network import FoldedNetwork

_INPUT_RANGES = "input-ranges.safetensors"


class ServedForms:
    """Makes the forms of one network and route.

    Args:
        layers: only the first so many layers, to see how fast they are; all by default.
    """

    def __init__(self, network: RelevanceNetwork, route: Route, layers: int | None = None) -> None:
        self._network, self._route, self._layers = network, route, layers
        self.folded = FoldedNetwork(network, route, layers=layers)

    def problem(self, choice: EngineChoice) -> str | None:
        """What keeps this network from having a form that works for others."""
        if choice.backend == "torch":
            return None
        from service.engine.backends.onnx_graph import activation_problem

        return activation_problem(self.folded.encoder_layers)

    def files(self, choice: EngineChoice, run: Callable[[FoldedNetwork], object]) -> dict[str, bytes]:
        """The files that a form needs beside the version's.

        Args:
            run: computes calibration rows with the network that it is given.
        """
        ranges: InputRanges = self._input_ranges(run) if choice.precision == "int8" else {}
        if choice.backend == "torch":
            return {_INPUT_RANGES: ranges_as_file(ranges)} if ranges else {}
        from service.engine.backends.onnx_graph import layers_as_onnx

        assert choice.precision != "bf16"
        folded = self.folded
        by_layer = [_of_layer(ranges, number) for number in range(folded.depth)]
        return {
            _graph_name(first, last): layers_as_onnx(
                folded.encoder_layers[first:last],
                folded.hidden_size,
                choice.precision,
                choice.weight_bits,
                by_layer[first:last],
            ).SerializeToString()
            for first, last in layer_ranges(folded)
        }

    def network(self, choice: EngineChoice, files: Mapping[str, bytes]) -> PairNetwork:
        """The network in a form, ready to be served; `folded` is used up by torch in float32."""
        if choice == TORCH_FLOAT32:
            return self.folded.pack()
        if choice.backend == "onnxruntime":
            from service.engine.backends.onnx_network import OnnxNetwork

            graphs = {layers: files[_graph_name(*layers)] for layers in layer_ranges(self.folded)}
            return OnnxNetwork(self.folded, graphs, torch.get_num_threads())
        if choice.precision == "int8":
            return self._int8(choice, ranges_of_file(files[_INPUT_RANGES]))
        if self.folded.device.type == "cuda":
            from service.engine.backends.cuda_graphs import GraphedNetwork

            return GraphedNetwork(self._network, self._route)
        return FoldedNetwork(self._network, self._route, torch.bfloat16, layers=self._layers).pack()

    def _input_ranges(self, run: Callable[[FoldedNetwork], object]) -> dict[str, InputRange]:
        with watched_inputs(self.folded) as ranges:
            run(self.folded)
        return ranges

    def _int8(self, choice: EngineChoice, ranges: InputRanges) -> Int8Network:
        return Int8Network(
            self._network, self._route, ranges, weight_bits=choice.weight_bits, layers=self._layers
        )


def _of_layer(ranges: InputRanges, number: int) -> InputRanges:
    start = f"{number}."
    return {name.removeprefix(start): found for name, found in ranges.items() if name.startswith(start)}


def _graph_name(first: int, last: int) -> str:
    return f"layers-{first}-{last}.onnx"
