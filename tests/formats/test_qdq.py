from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesmith.compress.quantize import ranges
from edgesmith.compress.quantize.ranges import Quantization, Range
from edgesmith.errors import ExportError
from edgesmith.formats import qdq
from edgesmith.formats.onnx import FILE
from edgesmith.report.accuracy import sqnr_db
from edgesmith.runtimes import onnxruntime as engine
from edgesmith.runtimes.session import predict
from edgesmith.tasks.store import load_reference
from tests import tiny
from tests.formats.conftest import Case, Quantized


@dataclass
class Graph:
    """An ONNX graph by the names of its values."""

    model: onnx.ModelProto

    def __post_init__(self) -> None:
        nodes = self.model.graph.node
        self.constants = {t.name: numpy_helper.to_array(t) for t in self.model.graph.initializer}
        self.made_by = {name: node for node in nodes for name in node.output}
        self.outputs = {value.name for value in self.model.graph.output}

    def nodes(self, *kinds: str) -> list[onnx.NodeProto]:
        return [node for node in self.model.graph.node if node.op_type in kinds]

    def users(self, name: str) -> list[onnx.NodeProto]:
        return [node for node in self.model.graph.node if name in node.input]

    def dequantized(self, name: str) -> onnx.NodeProto:
        """The DequantizeLinear that makes a value; fails where it is not one."""
        assert name in self.made_by, f"{name} is no computed value"
        assert self.made_by[name].op_type == "DequantizeLinear", name
        return self.made_by[name]

    def zero_point(self, node: onnx.NodeProto) -> np.ndarray:
        return self.constants[node.input[2]]


@pytest.fixture(
    params=[
        pytest.param("resnet18", marks=pytest.mark.slow),
        "efficientnet_lite0",
        pytest.param("mobilenet_v3_small", marks=pytest.mark.slow),
    ]
)
def case(request: pytest.FixtureRequest, quantized: Quantized) -> Case:
    return quantized(request.param)


def graph_of(case: Case, target: str) -> Graph:
    return Graph(onnx.load(case.folders[target] / FILE))


def test_a_range_has_the_same_key_in_both_graphs(case: Case) -> None:
    stored = ranges.read(case.variant)
    keys = list(case.traced.keys.values())
    logits = {key for key in stored.weights if key not in stored.activations}

    assert len(set(keys)) == len(keys)
    assert set(keys) == set(stored.activations) | logits
    assert len(logits) == 1
    assert set(stored.weights) <= set(keys)


def test_integer_layers_read_integers_alone(case: Case) -> None:
    graph = graph_of(case, "onnxruntime")
    layers = graph.nodes("Conv", "Gemm")

    assert len(layers) == len(case.traced.card.layers)
    for layer in layers:
        activation, weight, bias = (graph.dequantized(name) for name in layer.input)
        assert graph.zero_point(activation).dtype == np.uint8
        assert graph.constants[weight.input[0]].dtype == np.int8
        assert graph.constants[bias.input[0]].dtype == np.int32
        for parameter in (weight, bias):
            # Symmetric: without a zero point it is 0.
            assert len(parameter.input) == 2 or not graph.zero_point(parameter).any()
            assert len(graph.constants[parameter.input[1]]) == len(graph.constants[bias.input[0]])


def test_tensorrt_gets_no_zero_point_and_a_float_bias(case: Case) -> None:
    graph = graph_of(case, "tensorrt")
    pairs = graph.nodes("QuantizeLinear", "DequantizeLinear")

    assert pairs
    for node in pairs:
        assert graph.zero_point(node).dtype == np.int8
        assert not graph.zero_point(node).any()
    for layer in graph.nodes("Conv", "Gemm"):
        graph.dequantized(layer.input[0])
        assert graph.constants[graph.dequantized(layer.input[1]).input[0]].min() >= -127
        assert graph.constants[layer.input[2]].dtype == np.float32


def test_biases_are_counted_in_input_scale_times_weight_scale(case: Case) -> None:
    graph = graph_of(case, "onnxruntime")
    for layer in graph.nodes("Conv", "Gemm"):
        activation, weight, bias = (graph.dequantized(name) for name in layer.input)
        expected = graph.constants[activation.input[1]] * graph.constants[weight.input[1]]
        np.testing.assert_allclose(graph.constants[bias.input[1]], expected, rtol=1e-5)


@pytest.mark.parametrize("target", ["onnxruntime", "tensorrt"])
def test_every_other_operator_reads_integers_too(case: Case, target: str) -> None:
    graph = graph_of(case, target)
    others = graph.nodes("Add", "Mul", "Concat", "GlobalAveragePool", "HardSwish", "HardSigmoid")

    assert graph.nodes("GlobalAveragePool")
    for node in others:
        for name in node.input:
            graph.dequantized(name)


@pytest.mark.parametrize("target", ["onnxruntime", "tensorrt"])
def test_a_layer_writes_after_its_activation(case: Case, target: str) -> None:
    graph = graph_of(case, target)
    for layer in graph.nodes("Conv", "Gemm"):
        name = layer.output[0]
        while name not in graph.outputs:
            (user,) = graph.users(name)
            if user.op_type == "QuantizeLinear":
                break
            assert user.op_type in {"Relu", "Clip"}
            name = user.output[0]


@pytest.mark.parametrize("target", ["onnxruntime", "tensorrt"])
def test_padding_is_part_of_the_convolutions(case: Case, target: str) -> None:
    graph = graph_of(case, target)
    pads = [
        list(a.ints) for node in graph.nodes("Conv") for a in node.attribute if a.name == "pads"
    ]

    assert not graph.nodes("Pad")
    if case.traced.card.network.architecture == "efficientnet_lite0":
        assert [0, 0, 1, 1] in pads  # "same" padding of a stride of 2


def test_pooling_keeps_the_scale_of_its_input(case: Case) -> None:
    graph = graph_of(case, "onnxruntime")
    for node in graph.nodes("GlobalAveragePool", "MaxPool"):
        before = graph.dequantized(node.input[0])
        (after,) = graph.users(node.output[0])
        assert after.op_type == "QuantizeLinear"
        assert graph.constants[after.input[1]] == graph.constants[before.input[1]]
        assert graph.zero_point(after) == graph.zero_point(before)


def test_onnx_runtime_computes_every_layer_in_integers(case: Case, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    path = case.folders["onnxruntime"] / FILE
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    kinds = Counter(node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node)

    assert kinds["QLinearConv"] == len(graph_of(case, "onnxruntime").nodes("Conv"))
    assert not {"Conv", "Relu", "Clip", "Gemm", "MatMul"} & kinds.keys()


# Untrained networks on noise amplify a rounding that falls the other way; wrong scales give < 5 dB.
@pytest.mark.parametrize(("target", "least"), [("onnxruntime", 17.0), ("tensorrt", 12.0)])
def test_the_artifact_computes_what_the_simulation_did(
    case: Case, target: str, least: float
) -> None:
    described = case.written[target].description
    session = engine.load(case.folders[target], described, 1, ["cpu"])

    reference = load_reference(case.variant)["self"]
    assert sqnr_db(predict(session, tiny.noise(8)), reference) > least


def test_layers_are_found_again_for_comparison(case: Case) -> None:
    layers = case.written["onnxruntime"].layers
    graph = graph_of(case, "onnxruntime")

    assert set(layers) == set(ranges.read(case.variant).activations)
    for value in layers.values():
        graph.dequantized(value)


def convolution(operator: str = "Relu") -> onnx.ModelProto:
    """input -> Conv -> `operator` -> Conv -> logits"""
    nodes = [
        helper.make_node("Conv", ["input", "w", "b"], ["a"]),
        helper.make_node(operator, ["a"], ["r"], name="between"),
        helper.make_node("Conv", ["r", "w", "b"], ["logits"]),
    ]
    shape = [1, 2, 4, 4]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)],
        [
            numpy_helper.from_array(np.eye(2, dtype=np.float32).reshape(2, 2, 1, 1), "w"),
            numpy_helper.from_array(np.array([0.5, -0.5], np.float32), "b"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


KEYS = {"input": "input", "a": "first", "logits": "last"}


def quantization(**changes: object) -> Quantization:
    values = {
        "activations": {"input": Range(low=-1, high=1), "first": Range(low=0, high=2)},
        "weights": {"first": [1 / 127] * 2, "last": [1 / 127] * 2},
    } | changes
    return Quantization(method="ptq", scheme="affine", observer="mse", images=1, **values)


def test_known_ranges_become_known_scales() -> None:
    graph = Graph(qdq.insert(convolution(), KEYS, quantization(), "affine"))

    assert graph.constants["input_scale"] == np.float32(2 / 255)
    assert graph.constants["input_zero_point"] == 128
    assert graph.constants["r_scale"] == np.float32(2 / 255)
    assert graph.constants["r_zero_point"] == 0
    assert graph.constants["first.weight_quantized"].ravel().tolist() == [127, 0, 0, 127]
    assert graph.constants["first.bias_quantized"].tolist() == pytest.approx(
        [0.5 * 127 * 255 / 2, -0.5 * 127 * 255 / 2], abs=1
    )
    symmetric = Graph(qdq.insert(convolution(), KEYS, quantization(), "symmetric"))
    assert symmetric.constants["r_scale"] == np.float32(2 / 127)


def test_the_float_graph_is_left_as_it_was() -> None:
    model = convolution()
    before = model.SerializeToString(deterministic=True)
    qdq.insert(model, KEYS, quantization(), "affine")

    assert model.SerializeToString(deterministic=True) == before


def test_an_operator_without_a_rule_is_named() -> None:
    with pytest.raises(ExportError, match=r"node between \(Elu\): no rule to quantize it"):
        qdq.insert(convolution("Elu"), KEYS, quantization(), "affine")


@pytest.mark.parametrize("scheme", ["affine", "symmetric"])
def test_a_layer_that_reads_a_float_value_is_named(scheme: qdq.Scheme) -> None:
    with pytest.raises(ExportError, match=r"layer last: .* no range for what it reads \(r\)"):
        qdq.insert(convolution("Softmax"), KEYS, quantization(), scheme)


def test_a_layer_without_a_range_is_named() -> None:
    lacking = quantization(activations={"input": Range(low=-1, high=1)})

    with pytest.raises(ExportError, match=r"layer first: quantization\.json has no range for it"):
        qdq.insert(convolution(), KEYS, lacking, "affine")


def test_a_range_without_a_tensor_is_named() -> None:
    activations = {**quantization().activations, "gone": Range(low=0, high=1)}

    with pytest.raises(ExportError, match="layer gone: its range has no tensor in the ONNX graph"):
        qdq.insert(convolution(), KEYS, quantization(activations=activations), "affine")


@pytest.mark.parametrize("scales", [{"first": [0.1] * 2}, {"first": [0.1] * 2, "last": [0.1] * 3}])
def test_a_layer_without_fitting_weight_scales_is_named(scales: dict[str, list[float]]) -> None:
    with pytest.raises(ExportError, match=r"layer last: \d weight scales .* for 2 channels"):
        qdq.insert(convolution(), KEYS, quantization(weights=scales), "affine")
