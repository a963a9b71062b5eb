"""Ranges of `quantization.json` in a float .tflite file: full-integer, exact to the scale.

ai-edge-quantizer would take ranges as a calibration result, but computes weight scales itself and
adds its own rules on which tensors share one; written here, every number is ours.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgesmith.compress.quantize.ranges import Quantization, Range
from edgesmith.errors import ExportError
from edgesmith.formats import tflite_keys, tflite_mixed
from edgesmith.formats.tflite_graph import Array, Graph

Interface = Literal["int8", "uint8"]

# First versions of the kernels that take int8 (tensorflow/lite/tools/versioning/op_version.cc).
_VERSIONS = {
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 12,
    "ADD": 2,
    "MEAN": 2,
    "SUM": 2,
    "AVERAGE_POOL_2D": 2,
    "MAX_POOL_2D": 2,
    "PAD": 2,
    "PADV2": 2,
    "LOGISTIC": 2,
    "MUL": 2,
    "CONCATENATION": 2,
    "RESIZE_NEAREST_NEIGHBOR": 2,
    "TRANSPOSE": 2,
}


@dataclass(frozen=True)
class Scale:
    """real = scale * (level - zero_point) of an int8 tensor."""

    scale: float
    zero_point: int


@dataclass(frozen=True)
class Rendered:
    """An integer .tflite file, and how its input and logits are read; None: they are float32."""

    content: bytes
    input: Scale | None
    logits: Scale | None


def render(
    graph: Graph,
    state: Mapping[str, Array],
    quantization: Quantization,
    logits: Range | None,
    interface: Interface,
) -> Rendered:
    """The float `graph`, which is changed, with int8 tensors but around `float_layers`.

    `logits` is the range of the output, for which `quantization` has none: integer kernels need
    one. Without it, as for detectors, the layers of the outputs compute in float. With `interface`
    uint8 the input and the logits are the same levels shifted by 128. Every tensor of a layer is
    named by its range key. Raises ExportError naming the layer that has no range, scale or rule, or
    whose numbers the written file does not have.
    """
    keys = tflite_keys.range_keys(graph, state, quantization)
    ranges = dict(quantization.activations)
    if logits is not None and keys[graph.output] not in quantization.float_layers:
        ranges[keys[graph.output]] = logits
    in_float = tflite_mixed.float_operators(graph, keys, ranges.keys(), quantization)
    scales = {key: _scale(values, quantization) for key, values in ranges.items()}
    for operator in graph.operators:
        if graph.kind(operator) == "LOGISTIC":
            # What the integer kernel demands, and what affine ranges say.
            scales[keys[int(operator.outputs[0])]] = Scale(1 / 256, -128)
    integer: list[str] = []
    for operator in graph.operators:
        kind = graph.kind(operator)
        if id(operator) in in_float:
            continue
        if kind in tflite_keys.WEIGHTED:
            integer.append(keys[int(operator.outputs[0])])
            _quantize_parameters(graph, operator, keys, scales, quantization)
        if kind == "PADV2":
            _quantize_padding(graph, operator, scales[keys[int(operator.inputs[0])]])
        graph.require_version(operator, _VERSIONS.get(kind, 1))
    rounded = {index: key for index, key in keys.items() if key in scales}
    _quantize_activations(graph, rounded, scales)
    _equal_scales(graph, in_float, keys, scales)
    tflite_mixed.convert(graph, in_float, keys, rounded, quantization)
    ends = [scales.get(keys[index]) for index in (graph.input, graph.output)]
    if interface == "uint8":
        _shift_interface(graph)
    expected = {graph.tensor_name(index): scales[key] for index, key in rounded.items()}
    content = graph.pack()
    weights = {layer: quantization.weights[layer] for layer in integer}
    _verify(content, expected, weights, graph.name)
    shift = 128 if interface == "uint8" else 0
    first, last = (end and Scale(end.scale, end.zero_point + shift) for end in ends)
    return Rendered(content, first, last)


def _scale(values: Range, quantization: Quantization) -> Scale:
    """In single precision, as the file and the simulated graph hold it."""
    if quantization.scheme == "symmetric":
        return Scale(float(np.float32(values.symmetric())), 0)
    scale, zero_point = values.affine()
    return Scale(float(np.float32(scale)), zero_point)


def _quantize_parameters(
    graph: Graph,
    operator: Any,
    keys: tflite_keys.Keys,
    scales: Mapping[str, Scale],
    quantization: Quantization,
) -> None:
    """New tensors for weights and biases: the converter shares equal ones between layers."""
    layer, axis = keys[int(operator.outputs[0])], tflite_mixed.CHANNELS[graph.kind(operator)]
    weight = graph.constant(int(operator.inputs[1]))
    steps = np.array(quantization.weights[layer], np.float32)
    if weight is None or len(steps) != weight.shape[axis]:
        raise ExportError(
            f"{graph.name}: layer {layer}: {len(steps)} weight scales in quantization.json for "
            f"{'no constant weight' if weight is None else f'{weight.shape[axis]} channels'}; "
            "rebuild the variant: `dvc repro`"
        )
    per_channel = steps.reshape([-1 if k == axis else 1 for k in range(weight.ndim)])
    levels = np.clip(np.rint(weight / per_channel), -127, 127).astype(np.int8)
    operator.inputs[1] = graph.add_tensor(f"{layer}.weight", "int8", weight.shape, levels)
    graph.tensor(operator.inputs[1]).quantization = _parameters(steps, np.zeros(len(steps)), axis)
    bias = graph.constant(int(operator.inputs[2])) if len(operator.inputs) > 2 else None
    if bias is None:
        return
    # In units of input scale times weight scale, as integer kernels add them up.
    units = np.float64(scales[keys[int(operator.inputs[0])]].scale) * steps.astype(np.float64)
    limit = 2**31 - 1
    sums = np.clip(np.rint(bias / units), -limit, limit).astype(np.int32)
    operator.inputs[2] = graph.add_tensor(f"{layer}.bias", "int32", bias.shape, sums)
    graph.tensor(operator.inputs[2]).quantization = _parameters(
        units.astype(np.float32), np.zeros(len(steps)), 0
    )


def _quantize_padding(graph: Graph, operator: Any, scale: Scale) -> None:
    """The value around a max pooling: -inf in float, the lowest level here."""
    value = graph.constant(int(operator.inputs[2]))
    if value is None:
        raise ExportError(f"{graph.name}: the operator PADV2 pads with a computed value")
    level = np.clip(np.rint(value / np.float32(scale.scale)) + scale.zero_point, -128, 127)
    operator.inputs[2] = graph.add_tensor("padding", "int8", value.shape, level.astype(np.int8))
    graph.tensor(operator.inputs[2]).quantization = _parameters(
        np.array([scale.scale]), np.array([scale.zero_point])
    )


def _quantize_activations(
    graph: Graph, keys: tflite_keys.Keys, scales: Mapping[str, Scale]
) -> None:
    taken: dict[str, int] = {}
    for index, key in keys.items():
        tensor, scale = graph.tensor(index), scales[key]
        tensor.type = schema.TensorType.INT8
        tensor.quantization = _parameters(np.array([scale.scale]), np.array([scale.zero_point]))
        taken[key] = taken.get(key, 0) + 1
        if index not in (graph.input, graph.output):
            # What a pooling or padding hands on has its layer's range: `conv_head`, `conv_head+1`.
            name = key if taken[key] == 1 else f"{key}+{taken[key] - 1}"
            tensor.name = name.encode()


def _equal_scales(
    graph: Graph, in_float: Collection[int], keys: tflite_keys.Keys, scales: Mapping[str, Scale]
) -> None:
    """Integer concatenations copy levels: bring what they read to the scale of what they give."""
    result: list[Any] = []
    for operator in graph.operators:
        if graph.kind(operator) == "CONCATENATION" and id(operator) not in in_float:
            output = int(operator.outputs[0])
            scale = scales[keys[output]]
            for position, index in enumerate(int(index) for index in operator.inputs):
                if scales[keys[index]] == scale:
                    continue
                name = f"{graph.tensor_name(index)}_in_{keys[output]}"
                twin = graph.add_tensor(name, "int8", graph.shape(index))
                graph.tensor(twin).quantization = _parameters(
                    np.array([scale.scale]), np.array([scale.zero_point])
                )
                step = tflite_mixed.conversion(graph, "QUANTIZE", index, twin)
                result.append(step)
                operator.inputs[position] = twin
        result.append(operator)
    graph.operators[:] = result


def _shift_interface(graph: Graph) -> None:
    """Take and give uint8: the same levels plus 128, by one QUANTIZE operator at either end."""
    for end in ("input", "output"):
        inside = getattr(graph, end)
        tensor = graph.tensor(inside)
        if graph.dtype(inside) != "int8":
            continue
        (scale,), (zero_point,) = tensor.quantization.scale, tensor.quantization.zeroPoint
        outside = graph.add_tensor(graph.tensor_name(inside), "uint8", graph.shape(inside))
        graph.tensor(outside).quantization = _parameters(
            np.array([scale]), np.array([zero_point + 128])
        )
        tensor.name += b"_int8"
        pair = (outside, inside) if end == "input" else (inside, outside)
        operator = graph.new_operator("QUANTIZE", 2, [pair[0]], pair[1])
        operator.builtinOptionsType = schema.BuiltinOptions.QuantizeOptions
        operator.builtinOptions = schema.QuantizeOptionsT()
        graph.operators.insert(0 if end == "input" else len(graph.operators), operator)
        ends = graph.subgraph.inputs if end == "input" else graph.subgraph.outputs
        ends[0] = outside
        for signature in graph.model.signatureDefs or []:
            for entry in signature.inputs if end == "input" else signature.outputs:
                entry.tensorIndex = outside


def _parameters(scales: Array, zero_points: Array, axis: int = 0) -> Any:
    parameters = schema.QuantizationParametersT()
    parameters.scale = np.asarray(scales, np.float32).tolist()
    parameters.zeroPoint = [int(value) for value in zero_points]
    parameters.quantizedDimension = axis
    return parameters


def _verify(
    content: bytes,
    expected: Mapping[str, Scale],
    weights: Mapping[str, list[float]],
    name: str,
) -> None:
    """What LiteRT reads in the written file must be what `quantization.json` says."""
    details = Interpreter(model_content=content).get_tensor_details()
    found = {entry["name"]: entry["quantization_parameters"] for entry in details}

    def require(tensor: str, scales: list[float], zero_points: list[int]) -> None:
        held = found.get(tensor)
        read = None if held is None else (held["scales"], held["zero_points"])
        if read is None or (read[0].tolist(), read[1].tolist()) != (scales, zero_points):
            raise ExportError(
                f"{name}: layer {tensor}: the written file does not hold the scales of "
                "quantization.json; report the model"
            )

    for tensor, scale in expected.items():
        require(tensor, [scale.scale], [scale.zero_point])
    for layer, steps in weights.items():
        single = np.array(steps, np.float32).tolist()
        require(f"{layer}.weight", single, [0] * len(single))
