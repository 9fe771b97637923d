"""The layers of a folded network as an ONNX graph, with ONNX Runtime's fused operators.

Inputs: `hidden` (texts, tokens, hidden size) float32, `mask` (texts, tokens) int32, 1 where there is a token.
Outputs: `output`, hidden states like the input; `attention` (layers, texts, tokens, adapters) where there is a
fusion: the weight of each adapter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from model_store.errors import ConfigurationError
from service.engine.backends.int8_linear import InputRange, Quantization, input_shares, largest_weight
from service.engine.backends.int8_network import units_by_size
from service.engine.folded.network import FeedForward, FoldedEncoderLayer

_CONTRIBUTED = "com.microsoft"
_OPSET = 17
_IR_VERSION = 10

OnnxPrecision = Literal["float32", "int8"]
LayerRanges = Mapping[str, InputRange]
"""By the name of the linear layer in its encoder layer, as `feed_forward.narrow`."""


def layers_as_onnx(
    layers: Sequence[FoldedEncoderLayer],
    hidden_size: int,
    precision: OnnxPrecision = "float32",
    weight_bits: int = 8,
    ranges: Sequence[LayerRanges] | None = None,
) -> onnx.ModelProto:
    """An ONNX model of consecutive layers, weights inside.

    With int8, weights are symmetric with a scale per output unit, and the input of every product is quantized
    with a scale that was found on calibration rows: ONNX Runtime's own dynamic one is that of the batch, and a
    text's result would depend on the texts beside it. Sums, norms, softmax and activations stay float32. Weights
    have 7 bits where the processor's products overflow with 8 (`product_probes`).

    Args:
        ranges: of the inputs of each layer's products; int8 needs them. The unevenness of inputs is shared out
            between them and the weights, and the hidden units that get largest stay in float32, as in
            `Int8Network`.

    Raises:
        ConfigurationError: an activation that is neither GELU nor ReLU.
        ValueError: int8 without ranges.
    """
    if precision == "int8" and ranges is None:
        raise ValueError("int8 needs the ranges of the products' inputs")
    graph = _Graph(precision, weight_bits)
    hidden, attentions = "hidden", []
    for number, layer in enumerate(layers):
        hidden, attention = _encoder_layer(graph, layer, hidden, ranges[number] if ranges else {})
        if attention is not None:
            attentions.append(graph.node("Unsqueeze", [attention, graph.constant("zero", np.array([0]))]))
    graph.rename(hidden, "output")
    shape: list[str | int | None] = ["texts", "tokens", hidden_size]
    outputs = [helper.make_tensor_value_info("output", TensorProto.FLOAT, shape)]
    if attentions:
        graph.node("Concat", attentions, output="attention", axis=0)
        shape = [len(layers), "texts", "tokens", layers[0].adapters]
        outputs.append(helper.make_tensor_value_info("attention", TensorProto.FLOAT, shape))
    inputs = [
        helper.make_tensor_value_info("hidden", TensorProto.FLOAT, ["texts", "tokens", hidden_size]),
        helper.make_tensor_value_info("mask", TensorProto.INT32, ["texts", "tokens"]),
    ]
    return graph.as_model("folded_layers", inputs, outputs)


def activation_problem(layers: Sequence[FoldedEncoderLayer]) -> str | None:
    """What keeps layers from having a graph: an activation that is neither GELU nor ReLU."""
    return next((problem for layer in layers if (problem := _problem_of(layer.feed_forward))), None)


def integer_product(inputs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(rows, inputs) uint8 by (inputs, outputs) int8 in ONNX Runtime, as the graphs in int8 multiply: float32."""
    graph = _Graph("int8", 8)
    found = graph.integer_product("inputs", weights, np.ones(weights.shape[1], dtype=np.float32), 1.0, 0)
    model = graph.as_model(
        "product",
        [helper.make_tensor_value_info("inputs", TensorProto.UINT8, ["rows", weights.shape[0]])],
        [helper.make_tensor_value_info(found, TensorProto.FLOAT, ["rows", weights.shape[1]])],
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    result: np.ndarray = session.run(None, {"inputs": inputs})[0]
    return result


class _Graph:
    """Nodes and weights, named as they come."""

    def __init__(self, precision: OnnxPrecision, weight_bits: int) -> None:
        self._precision, self._largest_weight = precision, largest_weight(weight_bits)
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._constants: set[str] = set()
        self._names = 0

    def constant(self, name: str, value: np.ndarray) -> str:
        if name not in self._constants:
            self._constants.add(name)
            self.initializers.append(numpy_helper.from_array(value, name))
        return name

    def weight(self, tensor: Tensor, *, transposed: bool = False) -> str:
        array = tensor.detach().float().cpu().numpy()
        content = np.ascontiguousarray(array.T) if transposed else array
        return self.constant(self._new_name("weight"), content)

    def node(self, operator: str, inputs: Sequence[str], output: str | None = None, **attributes: Any) -> str:
        return self.nodes_of(operator, inputs, [output or self._new_name(operator)], **attributes)[0]

    def nodes_of(
        self, operator: str, inputs: Sequence[str], outputs: Sequence[str], domain: str = "", **attributes: Any
    ) -> list[str]:
        self.nodes.append(helper.make_node(operator, inputs, outputs, domain=domain, **attributes))
        return list(outputs)

    def contributed(self, operator: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any) -> list[str]:
        names = [self._new_name(operator) for _ in range(outputs)]
        return self.nodes_of(operator, inputs, names, _CONTRIBUTED, **attributes)

    def product(self, hidden: str, weight_of: Tensor, found: InputRange | None, *, exact: bool = False) -> str:
        """With a weight (outputs, inputs), in float32 where that is the graph's precision or asked for."""
        if self._precision == "float32" or exact:
            return self.node("MatMul", [hidden, self.weight(weight_of, transposed=True)])
        assert found is not None
        shares = input_shares(weight_of.detach().float(), found)
        quantization = Quantization(found, shares)
        even = self.node("Mul", [hidden, self.weight(1 / shares)])
        quantized = self.node(
            "QuantizeLinear", [even, *self._meaning(quantization.scale, quantization.zero_point)]
        )
        weight, scales = _quantized((weight_of * shares).detach().float().cpu().numpy().T, self._largest_weight)
        return self.integer_product(quantized, weight, scales, quantization.scale, quantization.zero_point)

    def integer_product(
        self, quantized: str, weight: np.ndarray, scales: np.ndarray, scale: float, zero_point: int
    ) -> str:
        """Of uint8 inputs, each (uint8 - zero_point) * scale, by int8 weights with a scale an output: float32."""
        weights = [
            self.constant(self._new_name(name), one) for name, one in (("weight", weight), ("scale", scales))
        ]
        of_inputs = self._meaning(scale, zero_point)
        inputs = [quantized, weights[0], of_inputs[0], weights[1], of_inputs[1]]
        return self.contributed("MatMulIntegerToFloat", inputs)[0]

    def _meaning(self, scale: float, zero_point: int) -> tuple[str, str]:
        return (
            self.constant(f"scale_{scale!r}", np.array(scale, dtype=np.float32)),
            self.constant(f"zero_point_{zero_point}", np.array(zero_point, dtype=np.uint8)),
        )

    def linear(self, hidden: str, linear: nn.Linear, found: InputRange | None) -> str:
        return self.node("Add", [self.product(hidden, linear.weight, found), self.weight(linear.bias)])

    def as_model(
        self, name: str, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]
    ) -> onnx.ModelProto:
        return helper.make_model(
            helper.make_graph(self.nodes, name, inputs, outputs, self.initializers),
            opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid(_CONTRIBUTED, 1)],
            ir_version=_IR_VERSION,
            producer_name="continual-relevance",
        )

    def rename(self, old: str, new: str) -> None:
        for node in self.nodes:
            node.input[:] = [new if name == old else name for name in node.input]
            node.output[:] = [new if name == old else name for name in node.output]

    def _new_name(self, operator: str) -> str:
        self._names += 1
        return f"{operator}_{self._names}"


def _quantized(weight: np.ndarray, largest: int) -> tuple[np.ndarray, np.ndarray]:
    """(inputs, outputs) float32 to int8 with a scale for each output."""
    scale = np.maximum(np.abs(weight).max(axis=0), 1e-12) / largest
    return np.rint(weight / scale).astype(np.int8), scale.astype(np.float32)


def _encoder_layer(
    graph: _Graph, layer: FoldedEncoderLayer, hidden: str, ranges: LayerRanges
) -> tuple[str, str | None]:
    context = _attention(graph, layer, hidden, ranges.get("projection"))
    context = graph.product(context, layer.attended.weight, ranges.get("attended"))
    attended, _ = _residual_norm(graph, context, hidden, layer.attended_norm, layer.attended.bias)
    feed_forward = layer.feed_forward
    assert isinstance(feed_forward, FeedForward)
    narrowed = _feed_forward(graph, feed_forward, attended, ranges)
    normed, total = _residual_norm(graph, narrowed, attended, layer.norm, feed_forward.narrow.bias)
    if not layer.adapters:
        return normed, None
    mixed, attention = _adapters(graph, layer, normed, ranges)
    output = graph.contributed(
        "SkipLayerNormalization",
        [mixed, total, graph.weight(layer.norm.weight), graph.weight(layer.norm.bias)],
        epsilon=layer.norm.eps,
    )[0]
    return output, attention


def _attention(graph: _Graph, layer: FoldedEncoderLayer, hidden: str, found: InputRange | None) -> str:
    projected = graph.linear(hidden, layer.projection, found)
    names = [f"{projected}_{part}" for part in ("query", "key", "value")]
    graph.nodes_of("Split", [projected], names, axis=-1)
    return graph.contributed("MultiHeadAttention", [*names, "", "mask"], num_heads=layer.heads)[0]


def _residual_norm(
    graph: _Graph, product: str, residual: str, norm: nn.LayerNorm, bias: Tensor
) -> tuple[str, str]:
    """LayerNorm(product + bias + residual), and what it normalised."""
    inputs = [
        product,
        residual,
        graph.weight(norm.weight),
        graph.weight(norm.bias),
        graph.weight(bias),
    ]
    names = graph.contributed("SkipLayerNormalization", inputs, outputs=2, epsilon=norm.eps)
    node = graph.nodes[-1]
    # Outputs two and three, mean and variance, are left out.
    node.output[:] = [names[0], "", "", names[1]]
    return names[0], names[1]


def _feed_forward(graph: _Graph, layer: FeedForward, attended: str, ranges: LayerRanges) -> str:
    """narrow(activation(wide(attended))) without the last bias; the large hidden units in float32."""
    if not ranges:
        return _hidden_units(graph, layer, attended, torch.arange(layer.wide.out_features), ranges)
    large, others = units_by_size(ranges["feed_forward.narrow"])
    most = _hidden_units(graph, layer, attended, others, ranges)
    if len(large) == 0:
        return most
    return graph.node("Add", [most, _hidden_units(graph, layer, attended, large, ranges, exact=True)])


def _hidden_units(
    graph: _Graph, layer: FeedForward, attended: str, places: Tensor, ranges: LayerRanges, *, exact: bool = False
) -> str:
    """What some of the hidden units contribute."""
    inputs, found = ranges.get("feed_forward.wide"), ranges.get("feed_forward.narrow")
    wide = graph.product(attended, layer.wide.weight[places], inputs, exact=exact)
    activated = _activated(graph, layer, wide, layer.wide.bias[places])
    some = InputRange(found.low[places], found.high[places]) if found else None
    return graph.product(activated, layer.narrow.weight[:, places], some, exact=exact)


def _activated(graph: _Graph, feed_forward: FeedForward, wide: str, of_units: Tensor) -> str:
    activation = feed_forward.activation
    bias = graph.weight(of_units)
    if feed_forward.is_gelu:
        return graph.contributed("BiasGelu", [wide, bias])[0]
    if isinstance(activation, nn.ReLU):
        return graph.node("Relu", [graph.node("Add", [wide, bias])])
    raise ConfigurationError(f"{_problem_of(feed_forward)}: set BACKEND to torch")


def _problem_of(feed_forward: nn.Module) -> str | None:
    assert isinstance(feed_forward, FeedForward)
    if feed_forward.is_gelu or isinstance(feed_forward.activation, nn.ReLU):
        return None
    return f"the encoder's activation {type(feed_forward.activation).__name__} has no ONNX form here"


def _adapters(
    graph: _Graph, layer: FoldedEncoderLayer, normed: str, ranges: LayerRanges
) -> tuple[str, str | None]:
    inner = graph.linear(normed, layer.inner, ranges.get("inner"))
    if not layer.fused:
        return graph.linear(graph.node("Relu", [inner]), layer.outer, ranges.get("outer")), None
    adapters = layer.adapters
    units = (layer.inner.out_features - adapters) // 2
    activations, gates, offsets = (f"{inner}_{part}" for part in ("activations", "gates", "offsets"))
    sizes = graph.constant(f"split_{units}_{adapters}", np.array([units, units, adapters]))
    graph.nodes_of("Split", [inner, sizes], [activations, gates, offsets], axis=-1)
    by_adapter = graph.constant(f"by_adapter_{adapters}", np.array([0, 0, adapters, units // adapters]))
    flat = graph.constant(f"flat_{units}", np.array([0, 0, units]))
    last = graph.constant("last", np.array([-1]))
    active = graph.node("Reshape", [graph.node("Relu", [activations]), by_adapter])
    agreement = graph.node("Mul", [graph.node("Reshape", [gates, by_adapter]), active])
    scores = graph.node("Add", [graph.node("ReduceSum", [agreement, last], keepdims=0), offsets])
    attention = graph.node("Softmax", [scores], axis=-1)
    weighted = graph.node("Mul", [active, graph.node("Unsqueeze", [attention, last])])
    both = graph.node("Concat", [graph.node("Reshape", [weighted, flat]), attention], axis=-1)
    return graph.product(both, layer.outer.weight, ranges.get("outer")), attention
