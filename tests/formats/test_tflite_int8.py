from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgesmith.compress.quantize import ranges
from edgesmith.compress.quantize.ranges import Quantization, Range
from edgesmith.errors import ExportError
from edgesmith.formats import tflite, tflite_int8, tflite_layers
from edgesmith.formats.tflite import FILE
from edgesmith.formats.tflite_check import examine
from edgesmith.formats.tflite_graph import Graph
from edgesmith.formats.tflite_int8 import Rendered
from edgesmith.formats.tflite_keys import WEIGHTED, range_keys
from edgesmith.report.accuracy import sqnr_db
from edgesmith.runtimes import litert
from edgesmith.runtimes.session import predict
from edgesmith.tasks.store import load_reference
from tests import tiny
from tests.formats.conftest import Converted

LOGITS = Range(low=-4, high=4)


@pytest.fixture(params=["resnet18", pytest.param("efficientnet_lite0", marks=pytest.mark.slow)])
def case(request: pytest.FixtureRequest, converted: Callable[[str], Converted]) -> Converted:
    return converted(request.param)


@pytest.fixture
def resnet(converted: Callable[[str], Converted]) -> Converted:
    return converted("resnet18")


def render(case: Converted, quantization: Quantization, interface: str = "int8") -> Rendered:
    graph = Graph(case.converted.content, "int")
    graph.shorten_names()
    return tflite_int8.render(graph, case.converted.state, quantization, LOGITS, interface)


def written(case: Converted) -> Graph:
    return Graph((case.folder / FILE).read_bytes(), "int")


def test_the_artifact_computes_what_the_simulation_did(case: Converted) -> None:
    session = litert.load(case.folder, case.description, 1, ["cpu"])
    reference = load_reference(case.variant)["self"]

    assert sqnr_db(predict(session, tiny.noise(8)), reference) > 17


def test_every_scale_is_that_of_quantization_json(case: Converted) -> None:
    quantization = ranges.read(case.variant)
    graph = written(case)
    held = {t.name.decode(): t.quantization for t in graph.subgraph.tensors}

    for key, values in quantization.activations.items():
        scale, zero_point = values.affine()
        assert (held[key].scale, held[key].zeroPoint) == ([np.float32(scale)], [zero_point])
    for layer, scales in quantization.weights.items():
        np.testing.assert_array_equal(held[f"{layer}.weight"].scale, np.float32(scales))
        assert not any(held[f"{layer}.weight"].zeroPoint)


def test_biases_are_counted_in_input_scale_times_weight_scale(case: Converted) -> None:
    graph = written(case)
    layers = [op for op in graph.operators if graph.kind(op) in WEIGHTED]

    assert len(layers) == len(ranges.read(case.variant).weights)
    for layer in layers:
        source, weight, bias = (graph.tensor(index).quantization for index in layer.inputs)
        assert graph.dtype(layer.inputs[2]) == "int32"
        expected = np.float32(source.scale[0]) * np.array(weight.scale)
        np.testing.assert_allclose(bias.scale, expected, rtol=1e-6)


def test_every_operator_computes_in_int8(case: Converted) -> None:
    report = examine((case.folder / FILE).read_bytes(), "int")

    assert report.dtypes == ("int8",)
    assert not {"QUANTIZE", "DEQUANTIZE", "TRANSPOSE"} & report.counts.keys()


def test_pooling_and_padding_keep_the_scale_of_their_input(case: Converted) -> None:
    graph = written(case)
    passing = [op for op in graph.operators if graph.kind(op) not in {*WEIGHTED, "ADD"}]

    assert passing
    for operator in passing:
        before, after = graph.tensor(operator.inputs[0]), graph.tensor(operator.outputs[0])
        assert before.quantization.scale == after.quantization.scale
        assert before.quantization.zeroPoint == after.quantization.zeroPoint


@pytest.mark.slow
def test_same_padding_of_lite_models_is_part_of_the_convolutions(
    converted: Callable[[str], Converted],
) -> None:
    case = converted("efficientnet_lite0")
    report = examine((case.folder / FILE).read_bytes(), "int")

    assert "PAD" not in report.counts
    assert report.edge_tpu, report.edge_tpu_faults


def test_uint8_tensors_hold_the_same_levels_plus_128(resnet: Converted, tmp_path: Path) -> None:
    described = tflite.write(resnet.converted, tmp_path, tiny.noise(8), "uint8")
    unsigned = litert.load(tmp_path, described, 1, ["cpu"])
    signed = litert.load(resnet.folder, resnet.description, 1, ["cpu"])

    assert described.input.dtype == described.outputs[0].dtype == "uint8"
    for ours, theirs in (
        (described.input.quantization, resnet.description.input.quantization),
        (described.outputs[0].quantization, resnet.description.outputs[0].quantization),
    ):
        assert ours.scale == theirs.scale and ours.zero_point == theirs.zero_point + 128
    images = tiny.noise(4)
    np.testing.assert_array_equal(predict(unsigned, images), predict(signed, images))
    assert examine((tmp_path / FILE).read_bytes(), "int").counts["QUANTIZE"] == 2


def test_a_symmetric_variant_has_no_zero_points(resnet: Converted) -> None:
    quantization = ranges.read(resnet.variant).model_copy(update={"scheme": "symmetric"})
    rendered = render(resnet, quantization)
    graph = Graph(rendered.content, "int")
    first = quantization.activations["input"]

    assert rendered.input.scale == np.float32(first.symmetric())
    assert rendered.input.zero_point == rendered.logits.zero_point == 0
    for tensor in graph.subgraph.tensors:
        zero_points = tensor.quantization.zeroPoint if tensor.quantization else None
        assert zero_points is None or not any(zero_points)


def test_every_layer_of_a_damaged_artifact_is_ranked_and_the_fault_comes_first(
    resnet: Converted, tmp_path: Path
) -> None:
    graph = written(resnet)
    broken = next(
        op for op in graph.operators if graph.tensor_name(op.outputs[0]) == "layer3.0.conv1"
    )
    quantization = graph.tensor(broken.inputs[1]).quantization
    quantization.scale = [scale * 3 for scale in quantization.scale]
    (tmp_path / FILE).write_bytes(graph.pack())
    images = tiny.noise(2)
    intact = tflite_layers.rank(resnet.variant, resnet.folder / FILE, resnet.description, images)
    levels = dict(tflite_layers.rank(resnet.variant, tmp_path / FILE, resnet.description, images))

    assert {key for key, _ in intact} == set(ranges.read(resnet.variant).activations)
    assert intact[0][1] > 15
    assert levels["layer3.0.conv1"] < 5
    assert min(levels[key] for key in levels if key.startswith(("layer1", "layer2"))) > 15


def changed(case: Converted, **updates: object) -> Quantization:
    return ranges.read(case.variant).model_copy(update=updates)


def test_a_layer_without_a_range_is_named(resnet: Converted) -> None:
    activations = dict(ranges.read(resnet.variant).activations)
    del activations["layer2.0.conv1"]

    with pytest.raises(
        ExportError, match=r"layer layer2\.0\.conv1: quantization\.json has no range"
    ):
        render(resnet, changed(resnet, activations=activations))


def test_an_addition_without_a_range_is_named(resnet: Converted) -> None:
    activations = dict(ranges.read(resnet.variant).activations)
    del activations["layer4.1/add"]

    with pytest.raises(
        ExportError, match=r"layer unknown: the tflite operator ADD .*layer4\.1\.conv2"
    ):
        render(resnet, changed(resnet, activations=activations))


def test_a_range_without_a_tensor_is_named(resnet: Converted) -> None:
    activations = {**ranges.read(resnet.variant).activations, "gone": LOGITS}

    with pytest.raises(ExportError, match=r"layer gone of quantization\.json has no tensor"):
        render(resnet, changed(resnet, activations=activations))


def test_a_layer_without_fitting_weight_scales_is_named(resnet: Converted) -> None:
    weights = {**ranges.read(resnet.variant).weights, "conv1": [0.1] * 3}

    with pytest.raises(ExportError, match=r"layer conv1: 3 weight scales .* for 64 channels"):
        render(resnet, changed(resnet, weights=weights))


def test_a_layer_whose_weights_the_converter_changed_is_named(resnet: Converted) -> None:
    state = dict(resnet.converted.state)
    state["layer1.0.conv1.weight"] = state["layer1.0.conv1.weight"] + 1

    with pytest.raises(ExportError, match=r"layer layer1\.0\.conv1: no layer of the variant has"):
        range_keys(Graph(resnet.converted.content, "int"), state, ranges.read(resnet.variant))


def test_additions_in_another_order_are_refused(resnet: Converted) -> None:
    before = ranges.read(resnet.variant).activations
    first = {key: before[key] for key in ("input", "layer4.1/add")}

    with pytest.raises(
        ExportError, match=r"layer layer4\.1/add: .* adds layer1\.0\.conv2 and conv1"
    ):
        render(resnet, changed(resnet, activations=first | before))


def test_an_operator_without_a_rule_is_named(resnet: Converted) -> None:
    graph = Graph(resnet.converted.content, "int")
    first = next(op for op in graph.operators if graph.kind(op) == "CONV_2D")
    between = graph.new_operator("HARD_SWISH", 1, [first.outputs[0]], first.outputs[0])
    graph.operators.insert(graph.operators.index(first) + 1, between)

    with pytest.raises(
        ExportError, match="operator HARD_SWISH after layer conv1 has no integer rule in the tflite"
    ):
        range_keys(graph, resnet.converted.state, ranges.read(resnet.variant))
