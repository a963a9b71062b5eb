"""A detector in every format: what its simulation computed, by the kernels that are meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgesmith.compress.quantize import ranges
from edgesmith.errors import ExportError
from edgesmith.formats import ncnn, tflite, tflite_attention
from edgesmith.formats import onnx as onnx_format
from edgesmith.formats.tflite_graph import Graph
from edgesmith.params import Export
from edgesmith.report.accuracy import sqnr_db
from tests import tiny_detector as tiny
from tests.formats.detector import Made, by_litert, by_ncnn, by_onnxruntime, make, one_by_one

SETTINGS = Export(opset=21, batch="1", parity_images=8)
ATTENTION = "layers.7.m.0.attn"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("detector"))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Attention kept float."""
    return make(tmp_path_factory.mktemp("mixed"), ["*attn*"])


@pytest.fixture(scope="module")
def traced(made: Made) -> onnx_format.Traced:
    return onnx_format.trace_network(
        made.net, tiny.card("int8"), made.variant, SETTINGS, dynamic=False
    )


@pytest.fixture(scope="module")
def converted(made: Made) -> Callable[[str], tflite.Converted]:
    """By precision; every one of the same conversion, the longest step by far."""
    once = tflite.convert_network(made.net, tiny.card("fp32"), made.variant)

    @cache
    def of(precision: str) -> tflite.Converted:
        return replace(once, card=tiny.card(precision))

    return of


def kinds(graph: onnx.GraphProto) -> Counter[str]:
    return Counter(node.op_type for node in graph.node)


def test_onnx_in_float_is_the_network(made: Made, tmp_path: Path) -> None:
    traced = onnx_format.trace_network(
        made.floats, tiny.card("fp32"), made.variant, SETTINGS, dynamic=True
    )
    described = onnx_format.write(traced, tmp_path, "onnxruntime").description
    run = by_onnxruntime(tmp_path / onnx_format.FILE)
    model = onnx.load(tmp_path / onnx_format.FILE)

    # Both images at once: the batch is free.
    assert sqnr_db(tiny.predictions(run(made.inputs)), made.expected) > 100
    assert [value.name for value in model.graph.output] == [o.name for o in described.outputs]
    assert described.outputs[0].shape == [-1, 4, 8, 8]
    assert not {"BatchNormalization", "Identity"} & kinds(model.graph).keys()


def test_onnx_runtime_runs_all_but_attention_and_the_maps_in_integers(
    made: Made, traced: onnx_format.Traced, tmp_path: Path
) -> None:
    written = onnx_format.write(traced, tmp_path, "onnxruntime")
    run = by_onnxruntime(tmp_path / onnx_format.FILE, tmp_path / "optimised.onnx")
    found = kinds(onnx.load(tmp_path / "optimised.onnx").graph)
    layers, gates = len(ranges.read(made.variant).weights), 43

    assert sqnr_db(one_by_one(run, made.inputs), made.simulated) > 50
    assert (found["QLinearConv"], found["Conv"]) == (layers - 6, 6)
    assert (found["QLinearSigmoid"], found["QLinearMul"]) == (gates, gates)
    assert (found["Sigmoid"], found["Mul"]) == (0, 0)
    assert (found["QLinearConcat"], found["Concat"]) == (6, 0)
    # One adds what attention gives, which is float.
    assert (found["QLinearAdd"], found["Add"]) == (6, 1)
    assert set(written.layers) == ranges.read(made.variant).activations.keys()


@pytest.mark.slow
def test_a_free_batch_of_a_quantized_detector_gets_the_same_ranges(
    made: Made, tmp_path: Path
) -> None:
    traced = onnx_format.trace_network(
        made.net, tiny.card("int8"), made.variant, SETTINGS, dynamic=True
    )
    onnx_format.write(traced, tmp_path, "onnxruntime")
    run = by_onnxruntime(tmp_path / onnx_format.FILE)

    assert sqnr_db(tiny.predictions(run(made.inputs)), made.simulated) > 45


def test_tensorrt_gets_no_zero_points(
    made: Made, traced: onnx_format.Traced, tmp_path: Path
) -> None:
    described = onnx_format.write(traced, tmp_path, "tensorrt").description
    run = by_onnxruntime(tmp_path / onnx_format.FILE)
    model = onnx.load(tmp_path / onnx_format.FILE)
    zeros = [t for t in model.graph.initializer if t.name.endswith("_zero_point")]

    # Symmetric ranges have half of the levels where values are of one sign, as SiLU's nearly are.
    assert sqnr_db(one_by_one(run, made.inputs), made.simulated) > 35
    assert described.format == "onnx-trt"
    assert zeros and not any(onnx.numpy_helper.to_array(t).any() for t in zeros)


def test_layers_kept_float_stay_float_in_onnx(mixed: Made, tmp_path: Path) -> None:
    traced = onnx_format.trace_network(
        mixed.net, tiny.card("mixed"), mixed.variant, SETTINGS, dynamic=False
    )
    onnx_format.write(traced, tmp_path, "onnxruntime")
    run = by_onnxruntime(tmp_path / onnx_format.FILE, tmp_path / "optimised.onnx")
    found = kinds(onnx.load(tmp_path / "optimised.onnx").graph)

    assert sqnr_db(one_by_one(run, mixed.inputs), mixed.simulated) > 45
    assert found["Conv"] == 6 + 5


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_ncnn_computes_what_the_network_does(made: Made, tmp_path: Path, precision: str) -> None:
    net = made.floats if precision == "fp32" else made.net
    written = ncnn.write(net, tiny.card(precision), made.variant, tmp_path)
    found = one_by_one(by_ncnn(tmp_path, written.description), made.inputs)
    text = (tmp_path / ncnn.PARAM).read_text().splitlines()
    integer = [line for line in text if " 8=" in line]

    # It rounds what convolutions read alone, and to symmetric levels.
    assert sqnr_db(found, made.expected) > {"fp32": 100, "int8": 38}[precision]
    assert [output.name for output in written.description.outputs] == [f"out{k}" for k in range(6)]
    assert sum(line.startswith("Swish") for line in text) == 43
    layers = len(ranges.read(made.variant).weights)
    assert len(integer) == (layers if precision == "int8" else 0)


def test_layers_kept_float_stay_float_in_ncnn(mixed: Made, tmp_path: Path) -> None:
    written = ncnn.write(mixed.net, tiny.card("mixed"), mixed.variant, tmp_path)
    found = one_by_one(by_ncnn(tmp_path, written.description), mixed.inputs)
    text = (tmp_path / ncnn.PARAM).read_text().splitlines()

    assert sqnr_db(found, mixed.simulated) > 38
    assert sum(" 8=" in line for line in text) == len(ranges.read(mixed.variant).weights)
    assert f"{ATTENTION}/add" not in written.blobs


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_tflite_computes_what_the_network_does(
    made: Made, converted: Callable[[str], tflite.Converted], tmp_path: Path, precision: str
) -> None:
    described = tflite.write(converted(precision), tmp_path, tiny.images(0))
    found = one_by_one(by_litert(tmp_path / tflite.FILE, described), made.inputs)
    expected = made.simulated if precision == "int8" else made.expected

    assert sqnr_db(found, expected) > {"fp32": 50, "fp16": 40, "int8": 45}[precision]
    assert described.input.dtype == ("int8" if precision == "int8" else "float32")
    assert {output.layout for output in described.outputs} == {"NHWC"}
    assert {output.dtype for output in described.outputs} == {"float32"}


@pytest.fixture(scope="module")
def integers(
    converted: Callable[[str], tflite.Converted], tmp_path_factory: pytest.TempPathFactory
) -> Graph:
    folder = tmp_path_factory.mktemp("integers")
    tflite.write(converted("int8"), folder, tiny.images(0))
    return Graph((folder / tflite.FILE).read_bytes(), "integers")


def test_tflite_computes_all_but_attention_and_the_maps_in_integers(integers: Graph) -> None:
    floats = Counter(
        integers.kind(operator)
        for operator in integers.operators
        if integers.dtype(int(operator.outputs[0])) == "float32"
    )

    # A single image and head: the second product became a layer with computed weights.
    assert floats.pop("DEQUANTIZE") == 6 + 4
    assert floats.pop("RESHAPE") == 2
    assert floats == {
        **{"BATCH_MATMUL": 1, "SOFTMAX": 1, "FULLY_CONNECTED": 1, "TRANSPOSE": 1, "ADD": 1},
        "CONV_2D": 6,
    }


def test_every_sigmoid_of_tflite_has_the_scale_that_its_kernel_demands(integers: Graph) -> None:
    gates = [op for op in integers.operators if integers.kind(op) == "LOGISTIC"]
    held = [integers.tensor(int(op.outputs[0])).quantization for op in gates]

    assert len(gates) == 43
    assert {(q.scale[0], q.zeroPoint[0]) for q in held} == {(1 / 256, -128)}


def test_concatenations_of_tflite_read_and_give_one_scale(integers: Graph) -> None:
    joins = [op for op in integers.operators if integers.kind(op) == "CONCATENATION"]

    assert len(joins) == 6
    for operator in joins:
        ends = [integers.tensor(int(index)).quantization for index in operator.inputs]
        given = integers.tensor(int(operator.outputs[0])).quantization
        assert {(q.scale[0], q.zeroPoint[0]) for q in ends} == {
            (given.scale[0], given.zeroPoint[0])
        }


def test_tflite_transposes_what_enters_and_leaves_attention_alone(
    converted: Callable[[str], tflite.Converted],
) -> None:
    graph = Graph(converted("fp32").content, "detector")
    counts = [sum(graph.kind(op) == "TRANSPOSE" for op in graph.operators)]
    for mend in (tflite_attention.drop_round_trips, tflite_attention.add_channels_last):
        mend(graph)
        counts.append(sum(graph.kind(op) == "TRANSPOSE" for op in graph.operators))
        mend(graph)

    # Query, key and value enter; what comes back is added to a map with channels last.
    assert counts == [6, 5, 4]
    assert sum(graph.kind(op) == "TRANSPOSE" for op in graph.operators) == 4
    assert tflite_attention.layout_changes(graph) == []


def test_a_transpose_outside_of_attention_is_named(
    converted: Callable[[str], tflite.Converted], tmp_path: Path
) -> None:
    case = converted("fp32")
    graph = Graph(case.content, "detector")
    first = next(op for op in graph.operators if graph.kind(op) == "CONV_2D")
    index = int(first.outputs[0])
    order = graph.add_tensor("order", "int32", [4], np.array([0, 2, 1, 3], np.int32))
    turned = graph.add_tensor("turned", "float32", graph.shape(index))
    reader = next(op for op in graph.operators if index in [int(i) for i in op.inputs])
    reader.inputs = [turned if int(i) == index else int(i) for i in reader.inputs]
    step = graph.new_operator("TRANSPOSE", 2, [index, order], turned)
    graph.operators.insert(graph.operators.index(reader), step)

    with pytest.raises(ExportError, match=r"1 TRANSPOSE operators .* outside of attention"):
        tflite.write(replace(case, content=graph.pack()), tmp_path, tiny.images(0))


def test_a_detector_without_a_range_is_refused_in_tflite(
    made: Made, converted: Callable[[str], tflite.Converted], tmp_path: Path
) -> None:
    quantization = ranges.read(made.variant)
    del quantization.activations["layers.3/concat"]
    (tmp_path / ranges.FILE).write_text(quantization.model_dump_json())
    folder = tmp_path / "artifact"
    folder.mkdir()

    with pytest.raises(ExportError, match=r"layer layers\.\d+/concat: .*CONCATENATION .* joins"):
        tflite.write(replace(converted("int8"), variant=tmp_path), folder, tiny.images(0))
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_layers_kept_float_stay_float_in_tflite(mixed: Made, tmp_path: Path) -> None:
    found = tflite.convert_network(mixed.net, tiny.card("mixed"), mixed.variant)
    described = tflite.write(found, tmp_path, tiny.images(0))
    graph = Graph((tmp_path / tflite.FILE).read_bytes(), "mixed")
    inside = [
        graph.kind(op)
        for op in graph.operators
        if graph.dtype(int(op.outputs[0])) == "float32" and graph.kind(op) in {"CONV_2D", "ADD"}
    ]

    assert (
        sqnr_db(
            one_by_one(by_litert(tmp_path / tflite.FILE, described), mixed.inputs), mixed.simulated
        )
        > 45
    )
    # Four of attention's five convolutions; the fifth is depthwise.
    assert Counter(inside) == {"CONV_2D": 6 + 4, "ADD": 1}
