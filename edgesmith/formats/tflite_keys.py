"""Which layer an operator of a .tflite file is: range keys of `quantization.json` for its tensors.

Weighted operators are recognised by their weights, which must be those of the variant bit for bit;
additions and concatenations by their order, checked against what they read; sigmoids by the layer
that they follow, and products by their sigmoid. The converter's tensor names hold module
paths too, but of whichever module a fusion left.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgesmith.compress.quantize.ranges import Quantization
from edgesmith.errors import ExportError
from edgesmith.formats import tflite_attention
from edgesmith.formats.tflite_graph import Array, Graph

WEIGHTED = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}
# Operators whose integer kernels hand levels on as they are.
PASS_THROUGH = {
    "MEAN",
    "SUM",
    "AVERAGE_POOL_2D",
    "MAX_POOL_2D",
    "RESHAPE",
    "SQUEEZE",
    "PAD",
    "PADV2",
    "RESIZE_NEAREST_NEIGHBOR",
    "TRANSPOSE",
}
# Operators that join tensors, by what their range keys end with.
_JOINING = {"ADD": "/add", "CONCATENATION": "/concat"}
Keys = dict[int, str]


def range_keys(graph: Graph, state: Mapping[str, Array], quantization: Quantization) -> Keys:
    """Range key of every tensor that an operator writes, and of the input, by tensor index.

    `state` holds the variant's parameters by name, (O, I, H, W) and (O, I). The layers of the
    outputs are listed too, under their paths; so is what attention computes, under names that are
    no keys. Raises ExportError naming the layer that cannot be found, or the operator that has no
    integer rule.
    """
    waiting = [*quantization.weights, *quantization.float_layers]
    for layer in waiting:
        if f"{layer.partition('#')[0]}.weight" not in state:
            raise ExportError(
                f"{graph.name}: layer {layer} of quantization.json is no layer of the variant; "
                "rebuild it: `dvc repro`"
            )
    order = list(quantization.activations)
    joined = {
        kind: [key for key in order if key.partition("#")[0].endswith(ending)]
        for kind, ending in _JOINING.items()
    }
    keys: Keys = {graph.input: "input"}
    for operator in graph.operators:
        kind = graph.kind(operator)
        output = int(operator.outputs[0])
        known = [int(index) in keys for index in operator.inputs]
        if tflite_attention.is_product(graph, operator):
            keys[output] = f"{graph.tensor_name(output)} (float)"
        elif kind in WEIGHTED:
            layer = _layer(graph, operator, waiting, state)
            waiting.remove(layer)
            keys[output] = layer
        elif kind in _JOINING and all(known):
            keys[output] = _joined(graph, operator, joined[kind], order, keys, quantization)
        elif kind in PASS_THROUGH and known[0] and _keeps(graph, operator):
            keys[output] = keys[int(operator.inputs[0])]
        elif kind in {"LOGISTIC", "MUL"} and all(known):
            keys[output] = _gate(graph, operator, order, keys)
        else:
            done = list(keys.values())[-1]
            raise ExportError(
                f"{graph.name}: the operator {kind} after layer {done} has no integer rule in the "
                "tflite format; leave this variant unquantized, or add a rule to "
                "formats/tflite_keys.py"
            )
    missing = [*waiting, *(key for key in order if key not in keys.values())]
    if missing:
        raise ExportError(
            f"{graph.name}: layer {missing[0]} of quantization.json has no tensor in the tflite "
            "graph; the converter removed or changed it: report the model"
        )
    return keys


def tflite_weight(weight: Array, kind: str) -> Array:
    """Torch's (O, I, H, W) or (O, I) as the operator `kind` stores it."""
    if kind == "CONV_2D":
        return np.ascontiguousarray(weight.transpose(0, 2, 3, 1))
    if kind == "DEPTHWISE_CONV_2D":
        return np.ascontiguousarray(weight.transpose(1, 2, 3, 0))
    return weight


def _layer(graph: Graph, operator: Any, waiting: list[str], state: Mapping[str, Array]) -> str:
    """The first waiting layer that has the operator's weights and biases."""
    kind = graph.kind(operator)
    weight = graph.constant(int(operator.inputs[1]))
    bias = graph.constant(int(operator.inputs[2])) if len(operator.inputs) > 2 else None
    for layer in waiting:
        path = layer.partition("#")[0]
        expected = state[f"{path}.weight"]
        if (expected.ndim == 2) != (kind == "FULLY_CONNECTED") or weight is None:
            continue
        if not np.array_equal(tflite_weight(expected, kind), weight):
            continue
        own = state.get(f"{path}.bias")
        if bias is None or own is None or np.array_equal(own, bias):
            return layer
    raise ExportError(
        f"{graph.name}: layer {waiting[0] if waiting else graph.tensor_name(operator.outputs[0])}: "
        f"no layer of the variant has the weights of its tflite operator {kind}; "
        "the converter changed them: report the model"
    )


def _joined(
    graph: Graph,
    operator: Any,
    waiting: list[str],
    order: list[str],
    keys: Keys,
    quantization: Quantization,
) -> str:
    """The next addition's or concatenation's key; it reads what comes before it in the network.

    One that only float layers read has no range, and so no key but this tensor's own.
    """
    operands = [keys[int(index)] for index in operator.inputs]
    key = waiting[0] if waiting else None
    known = key is not None and order[order.index(key) - 1] in operands
    if not known and quantization.float_layers:
        return "+".join(operands)
    if known:
        waiting.pop(0)
    if key is None or not known:
        kind = graph.kind(operator)
        does = "adds" if kind == "ADD" else "joins"
        raise ExportError(
            f"{graph.name}: layer {key or 'unknown'}: the tflite operator {kind} that should be it "
            f"{does} {' and '.join(operands)}; the converter changed their order: report the model"
        )
    return key


def _gate(graph: Graph, operator: Any, order: list[str], keys: Keys) -> str:
    """Key of a sigmoid, which comes right after what it reads, or of the product with it.

    A product that only float layers read has no range; its key is then none of `order`.
    """
    operands = [keys[int(index)] for index in operator.inputs]
    if graph.kind(operator) == "LOGISTIC":
        following = order[order.index(operands[0]) + 1 :][:1] if operands[0] in order else []
        if following and following[0].partition("#")[0].endswith("/sigmoid"):
            return following[0]
    else:
        for key in operands:
            path, found, number = key.rpartition("/sigmoid")
            if found:
                return f"{path}/mul{number}"
    raise ExportError(
        f"{graph.name}: the tflite operator {graph.kind(operator)} after layer {operands[0]} is no "
        "part of a SiLU, the only use of it that has an integer rule; leave this variant "
        "unquantized, or add a rule to formats/tflite_keys.py"
    )


def _keeps(graph: Graph, operator: Any) -> bool:
    """Whether values keep their range: a sum does so over a single element alone."""
    if graph.kind(operator) != "SUM":
        return True
    before, after = graph.shape(int(operator.inputs[0])), graph.shape(int(operator.outputs[0]))
    return int(np.prod(before)) == int(np.prod(after))
