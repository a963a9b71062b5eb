"""A variant as a static float graph that ends where the chip's part ends.

Where that is, is found in the graph itself: in the last operators with weights. What comes after
them (softmax; sigmoid, boxes) is computed by the host.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import onnx
import onnxslim
import torch
from onnx import utils as onnx_utils
from torch import nn

from edgesmith.contract import Output
from edgesmith.errors import ExportError
from edgesmith.formats.describe import STRIDES, Card, outputs

# Hailo's retraining guides export with it. torch's newer exporter writes 18 and later, and from
# there onnx's converter does not come below 14 (no adapter for Add).
OPSET = 11
# The compiler's own onnx refuses files of IR 10 ("higher than the checkers (9)"); opset 11 is of 6.
_IR_VERSION = 8
_WEIGHTED = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
INPUT = "input"


class Cut(NamedTuple):
    """The whole graph, the chip's part of it, and what that gives.

    `end_nodes` are names of operators, in the order of `results`, whose shapes are those of the
    tensors in the graph (NC or NCHW).
    """

    whole: onnx.ModelProto
    chip: onnx.ModelProto
    end_nodes: list[str]
    results: list[Output]


class _WithHost(nn.Module):
    """A network with what the host computes after it, as one graph."""

    def __init__(self, net: nn.Module, task: str) -> None:
        super().__init__()
        self.net = net
        self.task = task

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Probabilities (1, classes); or boxes (1, cells, 4) in pixels, scores (1, cells, classes).

        Boxes are x1 y1 x2 y2; cells row by row, the finest level first.
        """
        values = self.net(x)
        if self.task == "classify":
            return torch.softmax(values, dim=1)
        boxes, scores = [], []
        for stride, box, score in zip(STRIDES, values[0::2], values[1::2], strict=True):
            rows, columns = box.shape[2:]
            y, x_ = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
            centre = torch.stack([x_, y, x_, y])[None] + 0.5
            # Not a product with signs: the simplifier would move it into the layer before.
            distances = torch.cat([-box[:, :2], box[:, 2:]], dim=1)
            boxes.append(((centre + distances) * stride).flatten(2))
            scores.append(score.sigmoid().flatten(2))
        return (
            torch.cat(boxes, dim=2).transpose(1, 2),
            torch.cat(scores, dim=2).transpose(1, 2),
        )


def trace(net: nn.Module, card: Card) -> Cut:
    """The cut graph of a folded network (eval mode); ExportError where it cannot be cut."""
    spec = card.network.input
    names = ["probabilities"] if card.task == "classify" else ["boxes", "scores"]
    whole = _export(_WithHost(net.float().eval(), card.task), spec.height, spec.width, names)
    ends = end_nodes(whole)
    shapes = _shapes(whole)
    expected = outputs(card)
    ordered = _assign(ends, shapes, expected, whole)
    chip = _extract(whole, [node.output[0] for node in ordered])
    results = [
        output.model_copy(update={"name": node.output[0]})
        for node, output in zip(ordered, expected, strict=True)
    ]
    return Cut(whole, chip, [node.name for node in ordered], results)


def end_nodes(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Operators with weights of their own that lead to no other such one, in graph order."""
    constants = {tensor.name for tensor in model.graph.initializer}
    constants |= {node.output[0] for node in model.graph.node if node.op_type == "Constant"}

    def weighted(node: onnx.NodeProto) -> bool:
        return node.op_type in _WEIGHTED and any(name in constants for name in node.input[1:])

    followed: set[str] = set()  # tensors from which a weighted operator is reached
    found = []
    for node in reversed(model.graph.node):
        leads = any(name in followed for name in node.output)
        if weighted(node) and not leads:
            found.append(node)
        if weighted(node) or leads:
            followed.update(node.input)
    return found[::-1]


def _assign(
    ends: Sequence[onnx.NodeProto],
    shapes: dict[str, list[int]],
    expected: Sequence[Output],
    whole: onnx.ModelProto,
) -> list[onnx.NodeProto]:
    """The operators in the order of the contract's outputs, told apart by shape and use."""
    left = list(ends)
    ordered = []
    for output in expected:
        fitting = [node for node in left if shapes.get(node.output[0]) == output.shape]
        if len(fitting) > 1 and output.meaning != "logits":
            # As many classes as edges of a box: scores are the ones that go through a sigmoid.
            wanted = output.meaning == "scores"
            fitting = [node for node in fitting if _to_sigmoid(node, whole) == wanted]
        if len(fitting) != 1:
            listed = ", ".join(f"{node.name} {shapes.get(node.output[0])}" for node in ends)
            raise ExportError(
                f"hailo: {output.name} is {output.shape}; {len(fitting)} of the network's last "
                f"layers with weights give that ({listed}): its head is not one that edgesmith "
                "knows"
            )
        ordered.append(fitting[0])
        left.remove(fitting[0])
    if left:
        raise ExportError(
            f"hailo: {', '.join(node.name for node in left)}: last layers with weights that give "
            "no output of the contract; deploy one head alone"
        )
    return ordered


def _to_sigmoid(node: onnx.NodeProto, model: onnx.ModelProto) -> bool:
    return any(
        other.op_type == "Sigmoid" and node.output[0] in other.input for other in model.graph.node
    )


def _export(net: nn.Module, height: int, width: int, names: list[str]) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory(prefix="hailo-") as folder:
        path = Path(folder) / "whole.onnx"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's deprecation; the newer has no opset 11
                torch.onnx.export(
                    net,
                    (torch.zeros(1, 3, height, width),),
                    path,
                    dynamo=False,
                    opset_version=OPSET,
                    input_names=[INPUT],
                    output_names=names,
                )
        except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
            raise ExportError(
                f"hailo: torch cannot express it in opset {OPSET}: {error}"
            ) from error
        model: onnx.ModelProto = onnxslim.slim(onnx.load(path))
    opset = next(entry.version for entry in model.opset_import if not entry.domain)
    if opset != OPSET:
        raise ExportError(f"hailo: the simplified graph is of opset {opset}, not {OPSET}")
    model.ir_version = min(model.ir_version, _IR_VERSION)
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
    for part in [model, model.graph, *model.graph.node, *model.graph.initializer]:
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    return model


def _extract(whole: onnx.ModelProto, tensors: list[str]) -> onnx.ModelProto:
    """The part of the graph that gives `tensors`."""
    inferred = onnx.shape_inference.infer_shapes(whole)
    chip: onnx.ModelProto = onnx_utils.Extractor(inferred).extract_model([INPUT], tensors)
    del chip.graph.value_info[:]
    chip.ir_version = whole.ir_version
    chip.producer_name, chip.producer_version = "edgesmith", ""
    onnx.checker.check_model(chip, full_check=True)
    return chip


def _shapes(model: onnx.ModelProto) -> dict[str, list[int]]:
    graph = onnx.shape_inference.infer_shapes(model).graph
    return {
        value.name: [size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in [*graph.value_info, *graph.output]
    }
