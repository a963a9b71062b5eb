"""The simulated integer graph of a variant as a graph of PyTorch's integer kernels.

Nothing is calibrated: scales and zero points are those of `quantization.json`, weights are rounded
by its scales, and what passes values through (pooling, flattening, padding) keeps its input's.
Run as it is, the result is PyTorch's INT8 in eager mode; traced, its INT8 in TorchScript.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.fx import Graph, GraphModule, Node

from edgesmith.compress.quantize.fake import PerChannelWeight, TensorRange
from edgesmith.compress.quantize.graph import simulate
from edgesmith.compress.quantize.ranges import Quantization
from edgesmith.errors import ExportError
from edgesmith.formats import torch_kernels as kernels
from edgesmith.formats.torch_kernels import Bounds, Geometry, Grid, Weights
from edgesmith.preprocess import Preprocess

aten = torch.ops.aten

_CONVOLUTIONS = {aten.conv2d.default, aten.conv2d.padding}
_PAIRS = {
    aten.add.Tensor: "add",
    aten.add_.Tensor: "add",
    aten.mul.Tensor: "mul",
    aten.mul_.Tensor: "mul",
}
_CURVES = {
    aten.hardswish.default: "hardswish",
    aten.hardswish_.default: "hardswish",
    aten.sigmoid.default: "sigmoid",
}
_KERNELS = {*_CONVOLUTIONS, aten.linear.default, aten.cat.default, *_PAIRS, *_CURVES}
_RELU = {aten.relu.default, aten.relu_.default}
_CLAMP = {
    aten.hardtanh.default: (-1.0, 1.0),
    aten.hardtanh_.default: (-1.0, 1.0),
    aten.clamp.default: (-torch.inf, torch.inf),
    aten.clamp_.default: (-torch.inf, torch.inf),
}
# They take quint8 tensors as they are; averages are rounded to a level of their input.
_PASS_THROUGH = {
    aten.adaptive_avg_pool2d.default,
    aten.avg_pool2d.default,
    aten.max_pool2d.default,
    aten.mean.dim,
    aten.flatten.using_ints,
    aten.view.default,
    aten.reshape.default,
    aten.pad.default,
}
_NOTHING = {aten.dropout.default, aten.dropout_.default}


class _Fused(NamedTuple):
    """A kernel that waits for its range: its operator, and the activation function behind it."""

    operator: Node
    bounds: Bounds | None


def render(net: nn.Module, spec: Preprocess, quantization: Quantization) -> GraphModule:
    """`net` (eval mode, batch normalisation folded) in integers: (N, 3, H, W) float32 to logits.

    Modules that give a quantized tensor carry its range key as `key`. Raises ExportError for an
    operator without an integer kernel here.
    """
    graph = simulate(net, spec, quantization.scheme)
    return _Rendering(graph, quantization).result()


class _Rendering:
    """One walk over a simulated graph."""

    def __init__(self, simulated: GraphModule, quantization: Quantization) -> None:
        self._simulated, self._quantization = simulated, quantization
        self._graph, self._root = Graph(), nn.Module()
        # By node of the simulated graph: a value of the new one with its range key, or a kernel
        # that waits for the range of what it writes.
        self._made: dict[Node, tuple[Node, str]] = {}
        self._waiting: dict[Node, _Fused] = {}

    def result(self) -> GraphModule:
        for node in self._simulated.graph.nodes:
            if node.op == "placeholder":
                self._made[node] = (self._graph.placeholder("input"), "")
            elif node.op == "call_function":
                self._operator(node)
            elif node.op == "call_module":
                module = self._simulated.get_submodule(str(node.target))
                if isinstance(module, TensorRange):
                    self._range(node, module.key)
            elif node.op == "output":
                (returned,) = node.all_input_nodes
                self._graph.output(self._logits(returned))
        return GraphModule(self._root, self._graph, "Integers").eval()

    def _operator(self, node: Node) -> None:
        source = node.all_input_nodes[0]
        if node.target in _KERNELS:
            self._waiting[node] = _Fused(node, None)
        elif source in self._waiting and node.target in _RELU | _CLAMP.keys():
            fused = self._waiting[source]
            self._waiting[node] = fused._replace(bounds=_within(fused.bounds, node))
        elif node.target in _NOTHING and source in self._made:
            self._made[node] = self._made[source]
        elif node.target in _PASS_THROUGH and source in self._made:
            value, key = self._made[source]
            called = self._graph.call_function(
                node.target,
                (value, *node.args[1:]),
                dict(node.kwargs),
            )
            self._made[node] = (called, key)
        else:
            raise ExportError(
                f"torchscript: layer {_path(node)}: the operator {node.target} has no integer "
                "kernel in PyTorch here; leave this variant out of params.yaml: "
                "formats.torchscript, or add a rule to formats/torch_int8.py"
            )

    def _range(self, node: Node, key: str) -> None:
        """The value that has the range `key`: now a waiting kernel knows what it writes."""
        source = node.all_input_nodes[0]
        if source in self._made and self._made[source][1] == key:
            self._made[node] = self._made[source]
            return
        grid = self._grid(key)
        if source in self._waiting:
            fused = self._waiting[source]
            module, inputs = self._kernel(fused, grid), self._inputs(fused.operator)
        elif source.op == "placeholder":
            module, inputs = kernels.Quantize(grid), (self._made[source][0],)
        else:
            raise ExportError(
                f"torchscript: layer {key}: its range belongs to no integer kernel; add a rule to "
                "formats/torch_int8.py"
            )
        self._made[node] = (self._call(key, module, inputs), key)

    def _kernel(self, fused: _Fused, grid: Grid) -> nn.Module:
        node, bounds = fused
        if node.target in _CONVOLUTIONS or node.target is aten.linear.default:
            geometry = None if node.target is aten.linear.default else _geometry(node)
            return kernels.Weighted(self._weights(node), geometry, grid, bounds)
        if node.target is aten.cat.default:
            axis = node.args[1] if len(node.args) > 1 else 0
            return kernels.Concatenation(int(axis), grid, bounds)  # type: ignore[arg-type]
        if node.target in _CURVES:
            return kernels.Curve(_CURVES[node.target], grid, bounds)
        return kernels.Pair(_PAIRS[node.target], grid, bounds)  # type: ignore[index]

    def _logits(self, node: Node) -> Node:
        if node in self._made:
            return self._call("logits", kernels.Dequantize(), (self._made[node][0],))
        fused = self._waiting[node]
        if fused.operator.target is not aten.linear.default or fused.bounds is not None:
            raise ExportError(
                f"torchscript: layer {_path(fused.operator)}: it gives the logits, but is not a "
                "linear layer; add a rule to formats/torch_int8.py"
            )
        module = kernels.Logits(self._weights(fused.operator))
        return self._call("logits", module, self._inputs(fused.operator))

    def _inputs(self, node: Node) -> tuple[Node, ...]:
        """What a kernel reads of the new graph; weights and biases are inside its module."""
        sources = [source for source in node.all_input_nodes if source in self._made]
        # `all_input_nodes` names a tensor that is read twice (x + x) once.
        if node.target in _PAIRS and len(sources) == 1:
            sources *= 2
        read = [self._made[source][0] for source in sources]
        if not read or (node.target in _PAIRS and len(read) != 2):
            raise ExportError(
                f"torchscript: layer {_path(node)}: {node.target} reads a value that is not "
                "quantized; add a rule to formats/torch_int8.py"
            )
        return tuple(read)

    def _weights(self, node: Node) -> Weights:
        """Rounded by the scales of `quantization.json`, as the simulated graph rounds them."""
        simulating = self._simulated.get_submodule(str(node.args[1].target))  # type: ignore[union-attr]
        if not isinstance(simulating, PerChannelWeight):
            raise ExportError(
                f"torchscript: layer {_path(node)}: its weights are not quantized; rebuild the "
                "variant: `dvc repro`"
            )
        values = self._parameter(node.args[1].args[0])  # type: ignore[union-attr]
        scales = torch.tensor(self._quantization.weights[simulating.key])
        per_channel = scales.reshape(-1, *[1] * (values.dim() - 1))
        integers = torch.div(values, per_channel).round_().clamp_(-127, 127).to(torch.int8)
        bias = node.args[2] if len(node.args) > 2 else None
        return Weights(integers, scales, None if bias is None else self._parameter(bias))

    def _parameter(self, node: object) -> torch.Tensor:
        return self._simulated.get_parameter(str(node.target)).detach().clone()  # type: ignore[attr-defined]

    def _grid(self, key: str) -> Grid:
        found = self._quantization.activations.get(key)
        if found is None:
            raise ExportError(
                f"torchscript: layer {key}: quantization.json has no range of it; rebuild the "
                "variant: `dvc repro`"
            )
        # quint8 has the levels of int8, shifted by 128.
        if self._quantization.scheme == "symmetric":
            return Grid(found.symmetric(), 128)
        scale, zero = found.affine()
        return Grid(scale, zero + 128)

    def _call(self, key: str, module: nn.Module, inputs: tuple[Node, ...]) -> Node:
        name = key.replace(".", "_").replace("/", "_").replace("#", "_")
        module.key = key  # type: ignore[assignment]
        self._root.add_module(name, module)
        return self._graph.call_module(name, inputs)


def _within(bounds: Bounds | None, node: Node) -> Bounds:
    """`bounds` narrowed by one more activation function."""
    low, high = (0.0, torch.inf) if node.target in _RELU else _limits(node)
    return Bounds(max(low, bounds.low), min(high, bounds.high)) if bounds else Bounds(low, high)


def _limits(node: Node) -> tuple[float, float]:
    given = dict(enumerate(node.args[1:]))
    default = _CLAMP[node.target]  # type: ignore[index]
    low, high = (default[k] if given.get(k) is None else given[k] for k in range(2))
    return float(low), float(high)  # type: ignore[arg-type]


def _geometry(node: Node) -> Geometry:
    """Of a convolution's arguments (x, weight, bias, stride, padding, dilation, groups)."""
    given = [*node.args[3:], *[None] * 4]
    stride, dilation = (_two(given[k] or 1) for k in (0, 2))
    padding = given[1] or 0
    if padding == "valid":
        padding = 0
    elif padding == "same":
        raise ExportError(
            f"torchscript: layer {_path(node)}: padding 'same' has no integer kernel; pad before"
        )
    return Geometry(stride, _two(padding), dilation, _one(given[3] or 1))


def _one(value: object) -> int:
    if not isinstance(value, int):
        raise ExportError(
            f"torchscript: a convolution's argument is {value!r}; it must be a number"
        )
    return value


def _two(value: object) -> list[int]:
    values = [_one(v) for v in (value if isinstance(value, list | tuple) else [value])]
    return values * 2 if len(values) == 1 else values


def _path(node: Node) -> str:
    stack = node.meta.get("nn_module_stack") or {}
    return str(list(stack.values())[-1][0]) if stack else str(node.name)
