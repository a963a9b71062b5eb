"""The network of tests.detector as a .tflite file: AVERAGE_POOL_2D and CONV_2D, channels last."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from tests.detector import DISTANCES, HALF, OFFSETS, SCORES, SPEC, STRIDES


def network() -> bytes:
    """Float32, batch 1; outputs by name, written in another order than the contract's."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.description = 3, b"detector"
    model.buffers, graph.tensors, graph.operators = [schema.BufferT()], [], []
    model.operatorCodes = [_code("AVERAGE_POOL_2D"), _code("CONV_2D")]

    def tensor(name: str, shape: list[int], values: Any = None) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.type = name.encode(), shape, schema.TensorType.FLOAT32
        if values is not None:
            model.buffers.append(schema.BufferT())
            model.buffers[-1].data = np.frombuffer(values.tobytes(), np.uint8)
            made.buffer = len(model.buffers) - 1
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    def add(code: int, kind: str, sources: list[int], target: int, **options: int) -> None:
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = code, sources, [target]
        made.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        made.builtinOptions = getattr(schema, f"{kind}T")()
        for key, value in options.items():
            setattr(made.builtinOptions, key, value)
        graph.operators.append(made)

    image = tensor("image", [1, SPEC.height, SPEC.width, 3])
    found = []
    for stride in STRIDES:
        size = [SPEC.height // stride, SPEC.width // stride]
        mean = tensor(f"mean{stride}", [1, *size, 3])
        sides = {"strideW": stride, "strideH": stride, "filterWidth": stride}
        add(0, "Pool2DOptions", [image], mean, padding=1, filterHeight=stride, **sides)
        for name, weight, bias in (("boxes", DISTANCES, HALF), ("scores", SCORES, OFFSETS[stride])):
            kernel = tensor(f"{name}{stride}/kernel", [len(weight), 1, 1, 3], weight)
            offset = tensor(f"{name}{stride}/bias", [len(weight)], bias)
            found.append(tensor(f"{name}{stride}", [1, *size, len(weight)]))
            options = {"padding": 1, "strideW": 1, "strideH": 1}
            options |= {"dilationWFactor": 1, "dilationHFactor": 1}
            add(1, "Conv2DOptions", [mean, kernel, offset], found[-1], **options)
    graph.inputs, graph.outputs = [image], found[::-1]
    model.subgraphs = [graph]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _code(kind: str) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
    code.version = 1
    return code
