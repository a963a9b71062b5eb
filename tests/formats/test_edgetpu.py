"""Dense layers as convolutions, run by the real LiteRT; no compiler of the Edge TPU ran."""

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils

from edgesmith import contract as contracts
from edgesmith.data.classify.store import Split
from edgesmith.edgetpu.mapping import map_artifact, map_model
from edgesmith.errors import ContractError
from edgesmith.findings import is_refused
from edgesmith.formats import edgetpu
from edgesmith.params import Tolerance
from edgesmith.runtimes import session as runtimes
from tests.artifacts import SPEC
from tests.runtimes.test_litert import make_artifact
from tests.tflite_network import network

EXACT = Tolerance(max_abs_diff=1e-9, min_sqnr_db=99, min_agreement=1, max_metric_drop=0)
DENSE = 1


def _per_channel(*, keep_mean: bool = True, bias: bool = True) -> bytes:
    """The tiny integer network whose dense layer has a scale per channel, as converters write it.

    Without `keep_mean` the dense layer's input is the network's second output too, so that it
    has to stay as it is.
    """
    model = schema.ModelT.InitFromPackedBuf(network(1 / 32), 0)
    graph = model.subgraphs[0]
    dense = graph.operators[DENSE]
    scales = [1 / 32, 1 / 40, 1 / 50]
    quantization = graph.tensors[dense.inputs[1]].quantization
    quantization.scale, quantization.zeroPoint = scales, [0, 0, 0]
    quantization.quantizedDimension = 0
    if bias:
        values = schema.BufferT()
        values.data = np.frombuffer(np.array([50, -70, 900], np.int32).tobytes(), np.uint8)
        model.buffers.append(values)
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = b"bias", [3], schema.TensorType.INT32
        tensor.buffer = len(model.buffers) - 1
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = [scale / 32 for scale in scales]
        tensor.quantization.zeroPoint = [0, 0, 0]
        graph.tensors.append(tensor)
        dense.inputs = [*dense.inputs[:2], len(graph.tensors) - 1]
    if not keep_mean:
        graph.outputs = [*graph.outputs, dense.inputs[0]]
    model.operatorCodes[DENSE].version = 12
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _run(content: bytes, images: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    found = []
    for image in images:
        interpreter.set_tensor(source["index"], image[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(result["index"]))
    return np.concatenate(found)


def _kinds(content: bytes) -> list[str]:
    graph = edgetpu.Graph(content, "test")
    return [graph.kind(operator) for operator in graph.operators]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("keep_mean", "kinds"),
    [
        (True, ["MEAN", "CONV_2D", "RESHAPE"]),
        (False, ["MEAN", "RESHAPE", "CONV_2D", "RESHAPE"]),
    ],
)
def test_dense_layer_becomes_a_convolution_of_equal_integers(
    keep_mean: bool, kinds: list[str], bias: bool
) -> None:
    before = _per_channel(keep_mean=keep_mean, bias=bias)
    assert is_refused(map_model(before).findings)
    after, changed = edgetpu.dense_as_convolutions(before, "tiny")
    assert changed == 1 and _kinds(after) == kinds
    found = map_model(after)
    assert found.findings == [] and found.on_edgetpu == found.operators == len(kinds)
    random = np.random.default_rng(0)
    images = random.integers(-128, 128, (64, SPEC.height, SPEC.width, 3), dtype=np.int8)
    images += np.int8(0)
    expected = _run(before, images)
    assert len(np.unique(expected)) > 10
    np.testing.assert_array_equal(_run(after, images), expected)


def test_dense_layer_of_one_scale_is_left_alone() -> None:
    after, changed = edgetpu.dense_as_convolutions(network(1 / 32), "tiny")
    assert changed == 0 and _kinds(after) == ["MEAN", "FULLY_CONNECTED"]


def _artifact(folder: Path) -> Path:
    make_artifact(folder, quantized=True)
    model = folder / "model.tflite"
    content = schema.ModelT.InitFromPackedBuf(model.read_bytes(), 0)
    dense = content.subgraphs[0].operators[DENSE]
    quantization = content.subgraphs[0].tensors[dense.inputs[1]].quantization
    quantization.scale, quantization.zeroPoint = [1 / 32, 1 / 40, 1 / 50], [0, 0, 0]
    content.operatorCodes[DENSE].version = 12
    model.write_bytes(flatbuffer_utils.convert_object_to_bytearray(content))
    contract = contracts.read(folder)
    described = {"files": contracts.describe_files(folder)}
    contracts.write(contract.model_copy(update=described), folder)
    return folder


def _split() -> Split:
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (12, SPEC.height, SPEC.width, 3), dtype=np.uint8)
    return Split(images, np.arange(12) % 3, [str(k) for k in range(12)])


def test_prepared_artifact_passes_the_linter_and_is_measured_against_its_source(
    tmp_path: Path,
) -> None:
    source, folder = _artifact(tmp_path / "tflite"), tmp_path / "edgetpu-input"
    before = (source / "model.tflite").read_bytes()
    folder.mkdir()
    made = edgetpu.prepare(source, folder, _split(), EXACT)
    assert made.value == made.value_of_tflite and made.agreement == 1 and made.refused == 0
    assert made.images == 12 and made.dense_layers == 1 and made.on_edgetpu == made.operators
    contract = contracts.verify(folder)
    assert contract.target == "edgetpu_compiler" and "by LiteRT" in contract.parity.against
    assert map_artifact(folder).findings == []
    assert runtimes.load(folder).providers == ("cpu",)
    assert (source / "model.tflite").read_bytes() == before


def test_float_artifact_is_refused(tmp_path: Path) -> None:
    source = make_artifact(tmp_path / "tflite")
    with pytest.raises(ContractError, match="takes tflite, int8: list quantized variants"):
        edgetpu.prepare(source, tmp_path, _split(), EXACT)
