"""Which tensors of an exported graph are quantized, and which must share one range.

A PT2E quantizer (torchao) of our own, because every format has to be able to take the ranges:
integer kernels of ONNX Runtime, TFLite, NCNN and TensorRT read a convolution's input and write its
output *after* the activation function; additions and concatenations read two quantized inputs;
pooling and reshaping pass values through and so keep their input's range. What multiplies computed
values with one another (attention: matrix products, softmax) stays float, and so does an addition
to such a value.

A range is known by its *key*: `input`, the module path of the layer whose fused output it is
(`features.3.conv.2`), or, for an operator without weights, the path of the module that calls it and
the operator (`features.3/add`). Keys are the same in the float graph, the training graph and the
exported ONNX, which is how one range finds its tensor in every format.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e.quantizer import (
    QuantizationAnnotation,
    QuantizationSpec,
    QuantizationSpecBase,
    Quantizer,
    SharedQuantizationSpec,
)

from edgesmith.compress.quantize.fake import PerChannelWeight, TensorRange
from edgesmith.compress.quantize.ranges import SIGMOID, Range, Scheme
from edgesmith.errors import ModelError

aten = torch.ops.aten

# Operators (overloads that torch.export of torch 2.14 emits) by what an integer kernel does.
WEIGHTED = {aten.conv2d.default, aten.linear.default, aten.conv2d.padding}
FUSED = {
    aten.batch_norm.default,
    aten.relu.default,
    aten.relu_.default,
    aten.hardtanh.default,
    aten.hardtanh_.default,
    aten.clamp.default,
    aten.clamp_.default,
}
_OTHERS = {
    aten.add.Tensor: "add",
    aten.add_.Tensor: "add",
    aten.mul.Tensor: "mul",
    aten.mul_.Tensor: "mul",
    aten.cat.default: "concat",
    aten.hardswish.default: "hardswish",
    aten.hardswish_.default: "hardswish",
    aten.hardsigmoid.default: "hardsigmoid",
    aten.hardsigmoid_.default: "hardsigmoid",
    aten.silu.default: "silu",
    aten.silu_.default: "silu",
    aten.sigmoid.default: "sigmoid",
}
_SIGMOIDS = {aten.sigmoid.default}
PASS_THROUGH = {
    aten.adaptive_avg_pool2d.default,
    aten.avg_pool2d.default,
    aten.max_pool2d.default,
    aten.mean.dim,
    aten.flatten.using_ints,
    aten.view.default,
    aten.reshape.default,
    aten.pad.default,
    aten.dropout.default,
    aten.dropout_.default,
    aten.detach.default,
    aten.upsample_nearest2d.vec,
    aten.transpose.int,
    aten.permute.default,
}
# Between these no tensor is rounded.
FLOAT = {
    aten.matmul.default,
    aten.bmm.default,
    aten.softmax.int,
}
INPUT_KEY = "input"


class RangeQuantizer(Quantizer):  # type: ignore[misc]
    """Annotates a graph for 8-bit integer kernels; `keys` lists the ranges it needs, in order."""

    def __init__(self, scheme: Scheme) -> None:
        super().__init__()
        self.scheme = scheme
        self.keys: list[str] = []
        self.layers: list[str] = []

    def annotate(self, model: GraphModule) -> GraphModule:
        """Mark every tensor to quantize, weights included; ModelError names what cannot be."""
        logits = _returned(model)
        for node in model.graph.nodes:
            if node.op == "placeholder":
                self._quantize_output(node, INPUT_KEY)
            elif node.op == "call_function" and _is_computed(node):
                self._annotate_operator(node, logits)
        return model

    def validate(self, model: GraphModule) -> None:
        """Nothing to add: `annotate` refuses what it does not know."""

    def _annotate_operator(self, node: Node, logits: set[Node]) -> None:
        if node.target in WEIGHTED:
            key = self._unique(_module_path(node), self.layers)
            self.layers.append(key)
            source, weight = _node(node.args[0]), _node(node.args[1])
            if _annotation(source).output_qspec is None:
                raise ModelError(
                    f"layer {key}: it reads a value that stays float ({source}), which has no "
                    "range; leave this model unquantized, or add a rule to "
                    "compress/quantize/quantizer.py"
                )
            # torchao's fusion of batch normalisation expects both, the activation first.
            _annotation(node).input_qspec_map[source] = SharedQuantizationSpec(source)
            _annotation(node).input_qspec_map[weight] = self._weight_spec(key)
            self._quantize_fused(node, key, logits)
        elif node.target in _OTHERS:
            path = f"{_module_path(node)}/{_OTHERS[node.target]}"
            fixed = SIGMOID if node.target in _SIGMOIDS else None
            self._quantize_fused(node, self._unique(path, self.keys), logits, fixed)
        elif node.target in PASS_THROUGH:
            source = _node(node.args[0])
            if node not in logits and _annotation(source).output_qspec is not None:
                _annotation(node).output_qspec = SharedQuantizationSpec(source)
        elif node.target in FLOAT:
            _annotation(node)
        elif node.target not in FUSED:
            raise ModelError(
                f"layer {_module_path(node)}: the operator {node.target} has no quantization rule; "
                "leave this model unquantized, or add a rule to compress/quantize/quantizer.py"
            )
        elif not _is_fused(node):
            path = f"{_module_path(node)}/activation"
            self._quantize_output(node, self._unique(path, self.keys))

    def _quantize_fused(
        self, node: Node, key: str, logits: set[Node], fixed: Range | None = None
    ) -> None:
        """Quantize what leaves the fused kernel that starts at `node`; logits stay float."""
        last = node
        while (following := _only_user(last)) is not None and following.target in FUSED:
            last = following
            _annotation(last)
        if last not in logits:
            self._quantize_output(last, key, fixed)

    def _quantize_output(self, node: Node, key: str, fixed: Range | None = None) -> None:
        self.keys.append(key)
        symmetric = self.scheme == "symmetric"
        _annotation(node).output_qspec = QuantizationSpec(
            dtype=torch.int8,
            quant_min=-127 if symmetric else -128,
            quant_max=127,
            qscheme=torch.per_tensor_symmetric if symmetric else torch.per_tensor_affine,
            is_dynamic=False,
            observer_or_fake_quant_ctr=TensorRange.with_args(key=key, fixed=fixed),
        )

    @staticmethod
    def _weight_spec(key: str) -> QuantizationSpecBase:
        return QuantizationSpec(
            dtype=torch.int8,
            quant_min=-127,
            quant_max=127,
            qscheme=torch.per_channel_symmetric,
            ch_axis=0,
            is_dynamic=False,
            observer_or_fake_quant_ctr=PerChannelWeight.with_args(key=key),
        )

    @staticmethod
    def _unique(key: str, taken: list[str]) -> str:
        """A module that is called again gets `#1`, `#2` … in the order of its calls."""
        if key not in taken:
            return key
        return next(f"{key}#{n}" for n in range(1, len(taken) + 1) if f"{key}#{n}" not in taken)


def _annotation(node: Node) -> Any:
    return node.meta.setdefault(
        "quantization_annotation", QuantizationAnnotation(_annotated=True, input_qspec_map={})
    )


def _node(argument: object) -> Node:
    if not isinstance(argument, Node):
        raise ModelError(f"expected a tensor in the exported graph, found {argument!r}")
    return argument


def _module_path(node: Node) -> str:
    stack = node.meta.get("nn_module_stack") or {}
    return str(list(stack.values())[-1][0]) if stack else ""


def _only_user(node: Node) -> Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _is_fused(node: Node) -> bool:
    """Whether an activation or normalisation belongs to the kernel before it."""
    source = _node(node.args[0])
    fusing = source.target in WEIGHTED | _OTHERS.keys() | FUSED
    return fusing and _only_user(source) is node


def _returned(model: GraphModule) -> set[Node]:
    """The nodes whose value the graph returns."""
    output = next(node for node in model.graph.nodes if node.op == "output")
    return set(output.all_input_nodes)


def _is_computed(node: Node) -> bool:
    """Whether a node computes activations, not sizes, nor `num_batches_tracked += 1`.

    A graph exported in training mode holds the latter.
    """
    source = node.args[0] if node.args else None
    counts_batches = (
        isinstance(source, Node)
        and source.op == "get_attr"
        and str(source.target).endswith("num_batches_tracked")
    )
    return isinstance(node.meta.get("val"), torch.Tensor) and not counts_batches
