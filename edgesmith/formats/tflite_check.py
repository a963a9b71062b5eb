"""What is in a .tflite file, and whether an Edge TPU would run all of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from edgesmith.formats.tflite_graph import Graph

# https://coral.ai/docs/edgetpu/models-intro/#supported-operations
_EDGE_TPU = {
    *("ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "EXPAND_DIMS"),
    *("FULLY_CONNECTED", "L2_NORMALIZATION", "LOGISTIC", "MAXIMUM", "MAX_POOL_2D", "MEAN"),
    *("MINIMUM", "MUL", "PACK", "PAD", "PRELU", "QUANTIZE", "REDUCE_MAX", "REDUCE_MIN", "RELU"),
    *("RELU6", "RELU_N1_TO_1", "RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "RSQRT"),
    *("SLICE", "SOFTMAX", "SPACE_TO_DEPTH", "SPLIT", "SQUEEZE", "STRIDED_SLICE", "SUB", "SUM"),
    *("SQUARED_DIFFERENCE", "TANH", "TRANSPOSE", "TRANSPOSE_CONV"),
}
# Of constants: biases, and the axes and paddings that say how an operator works.
_CONSTANT = {"int8", "int32"}
_COMPUTED = {"int8", "uint8"}


@dataclass(frozen=True)
class Report:
    """Operators by kind, the dtypes that they compute in, and what keeps an Edge TPU from them."""

    counts: dict[str, int]
    dtypes: tuple[str, ...]
    edge_tpu_faults: tuple[str, ...]

    @property
    def edge_tpu(self) -> bool:
        """Whether an Edge TPU compiler may map every operator."""
        return not self.edge_tpu_faults


def examine(content: bytes, name: str) -> Report:
    """Read a .tflite file; ExportError calls it `name` when it is damaged."""
    graph = Graph(content, name)
    counts = Counter(graph.kind(operator) for operator in graph.operators)
    computed = {int(index) for operator in graph.operators for index in operator.outputs}
    dtypes = {graph.dtype(index) for index in computed | {graph.input}}
    faults = [fault for operator in graph.operators for fault in _faults(graph, operator)]
    return Report(dict(sorted(counts.items())), tuple(sorted(dtypes)), tuple(faults))


def _faults(graph: Graph, operator: Any) -> list[str]:
    kind = graph.kind(operator)
    where = f"{kind} ({graph.tensor_name(int(operator.outputs[0]))})"
    faults = [] if kind in _EDGE_TPU else [f"{where}: not an operator of the Edge TPU"]
    for index in (int(index) for index in (*operator.inputs, *operator.outputs) if index >= 0):
        stored = graph.constant(index) is not None
        dtype, shape = graph.dtype(index), graph.shape(index)
        tensor = graph.tensor(index)
        if dtype not in (_CONSTANT if stored else _COMPUTED):
            faults.append(f"{where}: {tensor.name.decode()} is {dtype}")
        signature = tensor.shapeSignature
        if any(size < 1 for size in (*shape, *(() if signature is None else signature))):
            faults.append(f"{where}: {tensor.name.decode()} has a free dimension")
        if not stored and sum(size > 1 for size in shape) > 3:
            faults.append(f"{where}: {tensor.name.decode()} has more than three dimensions")
    if kind in {"MEAN", "SUM"} and len(operator.inputs) > 1:
        axes = graph.constant(int(operator.inputs[1]))
        if axes is None or not {int(axis) for axis in axes.ravel()} <= {1, 2}:
            faults.append(f"{where}: reduces over more than height and width")
    return faults
