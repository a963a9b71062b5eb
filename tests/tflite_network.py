"""The network of tests.artifacts as a .tflite file, written by the schema's classes: no converter.

MEAN over height and width, then FULLY_CONNECTED with the colours' WEIGHT.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from tests.artifacts import SPEC, WEIGHT


def network(scale: float | None) -> bytes:
    """Float32, or int8 with `scale` and zero point 0 at every activation."""
    model = schema.ModelT()
    model.version, model.description = 3, b"tiny"
    model.buffers = [schema.BufferT()]
    model.operatorCodes = [_code("MEAN", 2), _code("FULLY_CONNECTED", 4)]
    graph = schema.SubGraphT()
    graph.tensors = []

    def tensor(name: str, shape: list[int], step: float | None, values: Any = None) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.type = name.encode(), shape, schema.TensorType.FLOAT32
        if step is not None:
            made.type = schema.TensorType.INT8
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = [step], [0]
        if values is not None:
            if values.dtype == np.int32:
                made.type = schema.TensorType.INT32
            model.buffers.append(schema.BufferT())
            model.buffers[-1].data = np.frombuffer(values.tobytes(), np.uint8)
            made.buffer = len(model.buffers) - 1
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    weight = np.ascontiguousarray(WEIGHT.T)
    step = None if scale is None else 1 / 32
    stored = weight if step is None else np.rint(weight / step).astype(np.int8)
    image = tensor("input", [1, SPEC.height, SPEC.width, 3], scale)
    axes = tensor("axes", [2], None, np.array([1, 2], np.int32))
    mean = tensor("mean", [1, 3], scale)
    weights = tensor("weight", [3, 3], step, stored)
    logits = tensor("logits", [1, 3], scale)
    reduce, multiply = schema.OperatorT(), schema.OperatorT()
    reduce.opcodeIndex, reduce.inputs, reduce.outputs = 0, [image, axes], [mean]
    reduce.builtinOptionsType = schema.BuiltinOptions.ReducerOptions
    reduce.builtinOptions = schema.ReducerOptionsT()
    multiply.opcodeIndex, multiply.inputs, multiply.outputs = 1, [mean, weights, -1], [logits]
    multiply.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    multiply.builtinOptions = schema.FullyConnectedOptionsT()
    graph.operators = [reduce, multiply]
    graph.inputs, graph.outputs = [image], [logits]
    model.subgraphs = [graph]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _code(kind: str, version: int) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
    code.version = version
    return code
