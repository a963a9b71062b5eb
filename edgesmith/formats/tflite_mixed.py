"""Layers that stay float in an integer .tflite file: DEQUANTIZE before them, QUANTIZE behind."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgesmith.compress.quantize.ranges import Quantization
from edgesmith.errors import ExportError
from edgesmith.formats import tflite_attention, tflite_keys
from edgesmith.formats.tflite_graph import Array, Graph

# Axis of the output channels in an operator's weights.
CHANNELS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}


def float_operators(
    graph: Graph, keys: tflite_keys.Keys, ranges: Collection[str], quantization: Quantization
) -> set[int]:
    """`id` of each operator that computes in float: the float layers, and what only they read.

    An integer kernel has to write integers, so a layer whose output has no range is a float
    operator too, with weights that are rounded: that of a detector's maps. So is attention. Raises
    ExportError naming a layer whose input or output lacks the range that it needs.
    """
    found = set()
    floats = tflite_attention.float_values(graph)
    for operator in graph.operators:
        inputs = [keys[int(i)] for i in operator.inputs if int(i) in keys]
        output = int(operator.outputs[0])
        key = keys[output]
        passes = graph.kind(operator) in tflite_keys.PASS_THROUGH
        is_attention = tflite_attention.computes_in_float(graph, operator, floats)
        is_float_layer = graph.kind(operator) in tflite_keys.WEIGHTED and (
            key in quantization.float_layers
        )
        reads_integers = not (is_float_layer or is_attention or passes)
        lacking = [i for i in inputs if i not in ranges] if reads_integers else []
        may_lack = quantization.float_layers or is_attention or output in graph.outputs
        if key not in ranges and not may_lack:
            lacking.append(key)
        if lacking:
            raise ExportError(
                f"{graph.name}: layer {lacking[0]}: quantization.json has no range for it; "
                "rebuild the variant: `dvc repro`"
            )
        if is_float_layer or is_attention or key not in ranges:
            found.add(id(operator))
    return found


def convert(
    graph: Graph,
    in_float: Collection[int],
    keys: tflite_keys.Keys,
    rounded: tflite_keys.Keys,
    quantization: Quantization,
) -> None:
    """Let the operators `in_float` read and write float twins of the `rounded` tensors."""
    twins: dict[int, int] = {}
    result: list[Any] = []
    for operator in graph.operators:
        if id(operator) not in in_float:
            result.append(operator)
            continue
        output = int(operator.outputs[0])
        if keys[output] in quantization.weights:
            _round_weights(graph, operator, keys[output], quantization.weights)
        for position, index in enumerate(int(index) for index in operator.inputs):
            if index in rounded:
                if index not in twins:
                    twins[index] = _twin(graph, index)
                    result.append(conversion(graph, "DEQUANTIZE", index, twins[index]))
                operator.inputs[position] = twins[index]
        result.append(operator)
        if output in rounded:
            operator.outputs[0] = _twin(graph, output)
            result.append(conversion(graph, "QUANTIZE", int(operator.outputs[0]), output))
    graph.operators[:] = result


def _round_weights(
    graph: Graph, operator: Any, layer: str, weights: Mapping[str, list[float]]
) -> None:
    axis, weight = CHANNELS[graph.kind(operator)], graph.constant(int(operator.inputs[1]))
    if weight is None:
        raise ExportError(f"{graph.name}: layer {layer}: no constant weight; report the model")
    shape = [-1 if k == axis else 1 for k in range(weight.ndim)]
    steps: Array = np.array(weights[layer], np.float32).reshape(shape)
    values = np.clip(np.rint(weight / steps), -127, 127) * steps
    operator.inputs[1] = graph.add_tensor(
        f"{layer}.weight", "float32", weight.shape, values.astype(np.float32)
    )


def _twin(graph: Graph, index: int) -> int:
    return graph.add_tensor(f"{graph.tensor_name(index)}_float", "float32", graph.shape(index))


def conversion(graph: Graph, kind: str, source: int, target: int) -> Any:
    """QUANTIZE or DEQUANTIZE from one tensor into another, not yet part of the graph."""
    operator = graph.new_operator(kind, 2, [source], target)
    options = {"QUANTIZE": "QuantizeOptions", "DEQUANTIZE": "DequantizeOptions"}[kind]
    operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
    operator.builtinOptions = getattr(schema, f"{options}T")()
    return operator
