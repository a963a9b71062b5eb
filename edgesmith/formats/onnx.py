"""A variant as ONNX: FP32, FP16 or INT8 (QDQ), for ONNX Runtime or as TensorRT's input."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import onnx
import onnxslim
import torch
from onnx import helper, numpy_helper
from torch import nn

from edgesmith import files
from edgesmith.compress.quantize import ranges
from edgesmith.compress.quantize.silu import without_silu
from edgesmith.contract import Description, Input
from edgesmith.errors import ExportError
from edgesmith.formats import qdq, qdq_keys
from edgesmith.formats.describe import Card, describe, output_names, outputs
from edgesmith.params import Export
from edgesmith.tasks import store

FILE = "model.onnx"
_INTEGER = {"int8", "mixed"}
Target = Literal["onnxruntime", "tensorrt"]


@dataclass(frozen=True)
class Written:
    """An exported artifact before its parity is known, and where its layers' outputs are."""

    description: Description
    layers: dict[str, str]


@dataclass(frozen=True)
class Traced:
    """A variant as a simplified float graph, with the range key of each operator's output."""

    variant: Path
    card: Card
    model: onnx.ModelProto
    keys: qdq_keys.Keys
    dynamic: bool


def trace(variant: Path, settings: Export, *, dynamic: bool) -> Traced:
    """The stored `variant` as a float graph: `trace_network`. ModelError where it is damaged."""
    net, card = store.load_folded(variant)
    return trace_network(net, card, variant, settings, dynamic=dynamic)


def trace_network(
    net: nn.Module, card: Card, variant: Path, settings: Export, *, dynamic: bool
) -> Traced:
    """`net`, of the stored `variant`, through torch's exporter, for one image or for any number.

    Input `input` (1 or N, 3, height, width) float32; output `logits` (1 or N, classes) float32, or
    a detector's six maps; FP16 variants cast inside. Raises ExportError when a converter fails.
    """
    spec = card.network.input
    if card.precision in _INTEGER:
        net = without_silu(net)
    wrapped = _HalfInside(net) if card.precision == "fp16" else net
    names = output_names(card)
    traced = _through_torch(wrapped.eval(), spec.height, spec.width, settings.opset, dynamic, names)
    return Traced(variant, card, _simplify(traced), qdq_keys.range_keys(traced), dynamic)


def write(traced: Traced, folder: Path, target: Target) -> Written:
    """Write `model.onnx` for `target` into `folder`, ranges rendered as it takes them."""
    card, spec, dynamic = traced.card, traced.card.network.input, traced.dynamic
    model = onnx.ModelProto()
    model.CopyFrom(traced.model)
    if card.precision in _INTEGER:
        scheme: qdq.Scheme = "affine" if target == "onnxruntime" else "symmetric"
        model = qdq.insert(model, traced.keys, ranges.read(traced.variant), scheme)
    _finish(model, card)
    files.write_bytes(folder / FILE, model.SerializeToString(deterministic=True))
    batch = -1 if dynamic else 1
    described = describe(
        card,
        traced.variant,
        folder,
        format="onnx" if target == "onnxruntime" else "onnx-trt",
        target="any" if target == "onnxruntime" else "tensorrt",
        source=Input(
            name="input",
            layout="NCHW",
            dtype="float32",
            shape=[batch, 3, spec.height, spec.width],
            preprocess=spec,
        ),
        results=outputs(card, batch=batch),
        tools=("torch", "onnx", "onnxscript", "onnxslim"),
    )
    layers = qdq_keys.layer_outputs(model, traced.keys) if card.precision in _INTEGER else {}
    return Written(described, layers)


class _HalfInside(nn.Module):
    """A half-precision network that takes and gives single precision."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        result: torch.Tensor | tuple[torch.Tensor, ...] = self.net(x.half())
        if isinstance(result, torch.Tensor):
            return result.float()
        return tuple(value.float() for value in result)


def _through_torch(
    net: nn.Module, height: int, width: int, opset: int, dynamic: bool, names: list[str]
) -> onnx.ModelProto:
    """The network through torch's exporter, with the module path of every node as metadata."""
    example = torch.zeros(2 if dynamic else 1, 3, height, width)
    batch = torch.export.Dim("batch", min=1, max=4096)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own deprecations; nothing to act on
            program = torch.onnx.export(
                net,
                (example,),
                dynamo=True,
                opset_version=opset,
                input_names=["input"],
                output_names=names,
                dynamic_shapes=({0: batch},) if dynamic else None,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise ExportError(f"onnx: torch's exporter cannot express this network: {error}") from error
    if program is None:
        raise ExportError("onnx: torch's exporter gave no program")
    traced: onnx.ModelProto = program.model_proto
    return traced


def _simplify(model: onnx.ModelProto) -> onnx.ModelProto:
    """Fold constants and zero padding; the padding of "same" convolutions moves into them."""
    slim: onnx.ModelProto = onnxslim.slim(model)
    constants = {tensor.name: tensor for tensor in slim.graph.initializer}
    for node in slim.graph.node:
        if node.op_type == "ReduceMean" and _is_global(node, constants):
            # Same values; and every runtime has an integer kernel for this one.
            del node.input[1:]
            del node.attribute[:]
            node.op_type = "GlobalAveragePool"
    return slim


def _is_global(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> bool:
    keeps = all(a.i == 1 for a in node.attribute if a.name == "keepdims")
    if len(node.input) < 2 or node.input[1] not in constants:
        return False
    axes = sorted(numpy_helper.to_array(constants[node.input[1]]).tolist())
    return keeps and axes in ([2, 3], [-2, -1])


def _finish(model: onnx.ModelProto, card: Card) -> None:
    """Drop what depends on the build machine, name the graph, and check all of it."""
    graph = model.graph
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    for part in [model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output]:
        # Stack traces with paths of this machine, written by torch's exporter.
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    del graph.value_info[:]
    graph.name = card.name
    model.producer_name, model.producer_version = "edgesmith", ""
    helper.set_model_props(model, {"variant": card.name, "precision": card.precision})
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"onnx: the exported graph of {card.name} is invalid: {error}") from error
