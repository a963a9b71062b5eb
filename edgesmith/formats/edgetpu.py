"""A full-integer TFLite artifact in the form that the Edge TPU's compiler takes.

Compiler 16.0 parses no FULLY_CONNECTED with a scale per channel (version 12), and every CONV_2D
with one. A dense layer is a 1 × 1 convolution of a 1 × 1 map: the same integers, the same scales,
the same sums.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgesmith import contract as contracts
from edgesmith import files
from edgesmith.contract import Contract
from edgesmith.edgetpu import mapping
from edgesmith.errors import ContractError
from edgesmith.formats import parity
from edgesmith.formats.tflite_graph import Array, Graph
from edgesmith.params import Tolerance
from edgesmith.runtimes import session as runtimes
from edgesmith.tasks.learning import Images
from edgesmith.tasks.task import task_of

FILE = "model.tflite"


class Prepared(NamedTuple):
    """The metric of both files on the same images, how alike they are, and what would be mapped."""

    images: int
    value_of_tflite: float
    value: float
    agreement: float
    max_abs_diff: float
    dense_layers: int
    operators: int
    on_edgetpu: int
    refused: int


def prepare(source: Path, folder: Path, split: Images, tolerance: Tolerance) -> Prepared:
    """Write the artifact `source` into `folder` with its dense layers as convolutions.

    Both are run by LiteRT on `split`; ParityError where they differ by more than `tolerance`,
    ContractError for an artifact that is no full-integer TFLite.
    """
    contract = contracts.verify(source)
    if contract.format != "tflite" or contract.precision != "int8":
        raise ContractError(
            f"{source}: is {contract.format}, {contract.precision}; the Edge TPU takes tflite, "
            "int8: list quantized variants alone in toolchains/edgetpu/params.yaml"
        )
    content = contract.model_file(source, ".tflite").read_bytes()
    written, changed = dense_as_convolutions(content, str(source))
    files.write_bytes(folder / FILE, written)
    described = {
        "target": "edgetpu_compiler",
        "files": contracts.describe_files(folder),
    }
    made = Contract(**{**contract.model_dump(), **described})
    contracts.write(made, folder)
    own, theirs = (
        runtimes.predict(runtimes.load(artifact), split.images) for artifact in (folder, source)
    )
    measured = parity.measure(
        own, theirs, split, contract.task, contract.boxes, f"{source} by LiteRT", tolerance
    )
    parity.check(measured, tolerance, str(folder / FILE), list)
    contracts.write(made.model_copy(update={"parity": measured}), folder)
    judge = task_of(contract.task)
    mapped = mapping.map_model(written)
    return Prepared(
        images=len(split),
        value_of_tflite=judge.metric(theirs, split, contract.boxes),
        value=judge.metric(own, split, contract.boxes),
        agreement=measured.agreement,
        max_abs_diff=measured.max_abs_diff,
        dense_layers=changed,
        operators=mapped.operators,
        on_edgetpu=mapped.on_edgetpu,
        refused=sum(finding.severity == "refused" for finding in mapped.findings),
    )


def dense_as_convolutions(content: bytes, name: str) -> tuple[bytes, int]:
    """A .tflite file without FULLY_CONNECTED of a scale per channel, and how many there were.

    ExportError calls it `name` when it is damaged.
    """
    graph = Graph(content, name)
    operators: list[Any] = []
    changed = 0
    for operator in graph.operators:
        if graph.kind(operator) != "FULLY_CONNECTED" or not _per_channel(graph, operator):
            operators.append(operator)
            continue
        changed += 1
        operators += _convolution(graph, operator)
    graph.operators[:] = operators
    return graph.pack(), changed


def _per_channel(graph: Graph, operator: Any) -> bool:
    weight = int(operator.inputs[1])
    quantization = graph.tensor(weight).quantization
    scales = () if quantization is None or quantization.scale is None else quantization.scale
    return graph.constant(weight) is not None and len(scales) > 1


def _convolution(graph: Graph, dense: Any) -> list[Any]:
    """The operators in place of a dense layer."""
    source, weight, *rest = (int(index) for index in dense.inputs)
    # LiteRT runs no integer convolution without a bias.
    (bias,) = [index for index in rest if index >= 0] or [_no_bias(graph, source, weight)]
    result = int(dense.outputs[0])
    stored = graph.constant(weight)
    outputs, inputs = graph.shape(weight)
    kernel = _like(graph, weight, (outputs, 1, 1, inputs), "kernel", stored)
    before, image = _as_map(graph, source, inputs)
    column = _like(graph, result, (1, 1, 1, outputs), "map")
    convolution = graph.new_operator("CONV_2D", 3, [image, kernel, bias], column)
    convolution.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
    options = schema.Conv2DOptionsT()
    options.padding = schema.Padding.VALID
    options.strideW = options.strideH = 1
    options.dilationWFactor = options.dilationHFactor = 1
    options.fusedActivationFunction = dense.builtinOptions.fusedActivationFunction
    convolution.builtinOptions = options
    return [*before, convolution, _reshape(graph, column, result, graph.shape(result))]


def _no_bias(graph: Graph, source: int, weight: int) -> int:
    """A bias of zeros, in the steps of the sums."""
    count = graph.shape(weight)[0]
    index = graph.add_tensor(
        f"{graph.tensor_name(weight)}/bias", "int32", [count], np.zeros(count, np.int32)
    )
    steps = schema.QuantizationParametersT()
    (step,) = graph.tensor(source).quantization.scale
    steps.scale = [float(scale * step) for scale in graph.tensor(weight).quantization.scale]
    steps.zeroPoint, steps.quantizedDimension = [0] * count, 0
    graph.tensor(index).quantization = steps
    return index


def _as_map(graph: Graph, vector: int, channels: int) -> tuple[list[Any], int]:
    """A (1, channels) tensor as a map of 1 × 1: its MEAN keeps the sizes, or it is reshaped."""
    readers = [op for op in graph.operators if vector in (int(index) for index in op.inputs)]
    for operator in graph.operators:
        if vector not in (int(index) for index in operator.outputs):
            continue
        if graph.kind(operator) == "MEAN" and len(readers) == 1 and vector not in graph.outputs:
            axes = graph.constant(int(operator.inputs[1]))
            image = graph.shape(int(operator.inputs[0]))
            if axes is not None and set(axes.ravel().tolist()) == {1, 2} and len(image) == 4:
                operator.builtinOptions.keepDims = True
                tensor = graph.tensor(vector)
                tensor.shape, tensor.shapeSignature = [1, 1, 1, channels], None
                return [], vector
    made = _like(graph, vector, (1, 1, 1, channels), "map")
    return [_reshape(graph, vector, made, (1, 1, 1, channels))], made


def _reshape(graph: Graph, source: int, result: int, shape: tuple[int, ...]) -> Any:
    operator = graph.new_operator("RESHAPE", 1, [source], result)
    operator.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
    operator.builtinOptions = schema.ReshapeOptionsT()
    operator.builtinOptions.newShape = list(shape)
    return operator


def _like(
    graph: Graph, index: int, shape: tuple[int, ...], suffix: str, values: Array | None = None
) -> int:
    """A new tensor with type and quantization of another."""
    name = f"{graph.tensor_name(index)}/{suffix}"
    made = graph.add_tensor(name, graph.dtype(index), shape, values)
    graph.tensor(made).quantization = graph.tensor(index).quantization
    return made
