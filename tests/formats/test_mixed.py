"""Layers that stay float, in every format: the logits are those of the simulated graph."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from edgesmith.compress.quantize import ranges
from edgesmith.errors import ExportError
from edgesmith.formats import ncnn, qdq, tflite
from edgesmith.formats import onnx as onnx_format
from edgesmith.formats.tflite_graph import Graph
from edgesmith.ncnn_int8 import model as models
from edgesmith.params import Export
from edgesmith.report.accuracy import sqnr_db
from edgesmith.runtimes import litert, onnxruntime, session
from edgesmith.runtimes import ncnn as ncnn_runtime
from edgesmith.tasks import store
from tests import tiny

# The one that reads the image, one inside a block, one behind an addition, and the logits.
FLOAT = ["conv1", "layer2.0.conv2", "layer4.0.conv1", "fc"]
# What nothing but these reads: the image, an integer layer's output, the last addition.
WITHOUT_RANGE = {"input", "layer2.0.conv1", "layer4.1/add"}


@pytest.fixture(scope="module")
def variant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixed") / "models/int"
    tiny.store_quantized(folder, "resnet18", FLOAT)
    return folder


@pytest.fixture(scope="module")
def traced(variant: Path) -> onnx_format.Traced:
    settings = Export(opset=21, batch="1", parity_images=8)
    return onnx_format.trace(variant, settings, dynamic=False)


def noise_of(variant: Path, opened: session.Session) -> float:
    """SQNR in dB against the simulated graph."""
    expected = store.load_reference(variant)["self"]
    return float(sqnr_db(session.predict(opened, tiny.noise(8)), expected))


def test_only_what_integer_kernels_read_has_a_range(variant: Path) -> None:
    quantization = ranges.read(variant)

    assert not WITHOUT_RANGE & quantization.activations.keys()
    # The block's shortcut, an integer kernel, reads it too.
    assert {"layer3.1/add", "layer1.1/add"} <= quantization.activations.keys()
    assert not set(FLOAT) & quantization.weights.keys()
    assert quantization.float_layers == FLOAT


@pytest.mark.parametrize(("target", "atleast"), [("onnxruntime", 17), ("tensorrt", 15)])
def test_onnx_has_no_integers_around_them(
    variant: Path,
    traced: onnx_format.Traced,
    tmp_path: Path,
    target: onnx_format.Target,
    atleast: float,
) -> None:
    written = onnx_format.write(traced, tmp_path, target)
    model = onnx.load(tmp_path / onnx_format.FILE)
    made_by = {name: node.op_type for node in model.graph.node for name in node.output}
    rounded = [
        node
        for node in model.graph.node
        if node.op_type in {"Conv", "Gemm"} and made_by.get(node.input[1]) == "DequantizeLinear"
    ]

    assert written.description.precision == "mixed"
    assert len(rounded) == len(ranges.read(variant).weights)
    opened = onnxruntime.load(tmp_path, written.description, 1, ["cpu"])
    assert noise_of(variant, opened) > atleast


@pytest.mark.slow
def test_ncnn_leaves_them_as_they_are(variant: Path, tmp_path: Path) -> None:
    written = ncnn.export(variant, tmp_path)
    text = (tmp_path / ncnn.PARAM).read_text()
    weighted = [line for line in text.splitlines()[2:] if line.split()[0] in models.WEIGHTED]
    opened = ncnn_runtime.load(tmp_path, written.description, 1, ["cpu"])

    assert written.description.precision == "mixed"
    assert sum(" 8=" not in line for line in weighted) == len(FLOAT)
    assert noise_of(variant, opened) > 15


@pytest.mark.slow
def test_tflite_converts_around_them(variant: Path, tmp_path: Path) -> None:
    description = tflite.write(tflite.convert(variant), tmp_path, tiny.noise(8))
    graph = Graph((tmp_path / tflite.FILE).read_bytes(), "mixed")
    kinds = [graph.kind(operator) for operator in graph.operators]
    opened = litert.load(tmp_path, description, 1, ["cpu"])

    # The image is float, and so are the logits; a producer without a range computes in float too.
    assert (description.input.dtype, description.outputs[0].dtype) == ("float32", "float32")
    assert (kinds.count("QUANTIZE"), kinds.count("DEQUANTIZE")) == (3, 4)
    assert description.precision == "mixed"
    assert noise_of(variant, opened) > 17


def test_a_range_that_is_still_needed_is_missed(variant: Path, traced: onnx_format.Traced) -> None:
    quantization = ranges.read(variant)
    del quantization.activations["layer3.1/add"]

    with pytest.raises(ExportError, match=r"layer layer3\.1/add: quantization.json has no range"):
        qdq.insert(traced.model, traced.keys, quantization, "affine")


def test_a_file_without_float_layers_reads(variant: Path, tmp_path: Path) -> None:
    content = ranges.read(variant).model_dump(exclude={"float_layers"})
    (tmp_path / ranges.FILE).write_text(ranges.Quantization(**content).model_dump_json())
    text = (tmp_path / ranges.FILE).read_text().replace(',"float_layers":[]', "")
    (tmp_path / ranges.FILE).write_text(text)

    assert "float_layers" not in text
    assert ranges.read(tmp_path).float_layers == []
    assert list(ranges.read(tmp_path).weights) == list(content["weights"])
