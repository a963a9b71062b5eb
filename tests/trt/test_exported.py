"""What the export stage writes for TensorRT, tiny, passes the linter; as ONNX Runtime's, not."""

from pathlib import Path

import onnx
import pytest

from edgesmith.findings import is_refused
from edgesmith.formats import qdq_keys
from edgesmith.formats.onnx import FILE, Traced, trace, trace_network, write
from edgesmith.params import Export
from edgesmith.trt import lint, try_build
from tests import tiny, tiny_detector
from tests.formats import detector

SETTINGS = Export(opset=21, batch="1", parity_images=8)
TARGETS = ("onnxruntime", "tensorrt")
FLOATS = ("fp32", "fp16")


def _store(folder: Path, precision: str) -> Traced:
    """A classifier, stored and traced."""
    variant = folder / "models/tiny"
    if precision == "int8":
        tiny.store_quantized(variant, "efficientnet_lite0")
        return trace(variant, SETTINGS, dynamic=False)
    net, _ = tiny.network("mobilenet_v2")
    card = tiny_detector.card(precision)
    card.task = "classify"
    card.labels = tiny.LABELS
    card.network.input = tiny.SPEC
    variant.mkdir(parents=True)
    (variant / "weights.safetensors").write_bytes(b"")
    if precision == "fp16":
        net.half()
    return trace_network(net, card, variant, SETTINGS, dynamic=False)


def _detector(folder: Path, precision: str) -> Traced:
    made = detector.make(folder)
    net = made.net if precision == "int8" else made.floats
    card = tiny_detector.card(precision)
    if precision == "fp16":
        net.half()
    return trace_network(net, card, made.variant, SETTINGS, dynamic=False)


SLOW = pytest.mark.slow  # 5 s each


@pytest.fixture(scope="module", params=[*(pytest.param(p, marks=SLOW) for p in FLOATS), "int8"])
def precision(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module", params=["classifier", pytest.param("detector", marks=SLOW)])
def exported(
    request: pytest.FixtureRequest, precision: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A real export of each precision, by target."""
    folder = tmp_path_factory.mktemp("exported")
    make = _store if request.param == "classifier" else _detector
    traced = make(folder, precision)
    found = {}
    for target in TARGETS:
        (folder / target).mkdir()
        write(traced, folder / target, target)
        found[target] = folder / target / FILE
    return found


def test_what_is_exported_for_tensorrt_passes(exported: dict[str, Path], precision: str) -> None:
    model = onnx.load(exported["tensorrt"])
    assert not is_refused(lint.lint(model))
    quantizers = [n for n in model.graph.node if n.op_type == "QuantizeLinear"]
    assert bool(quantizers) == (precision == "int8")  # what passes is not an empty claim
    assert qdq_keys.WEIGHTED & {n.op_type for n in model.graph.node}


def test_what_is_exported_for_onnxruntime_is_refused_where_it_is_quantized(
    exported: dict[str, Path], precision: str
) -> None:
    assert is_refused(lint.lint(onnx.load(exported["onnxruntime"]))) == (precision == "int8")


@pytest.mark.slow
def test_tensorrt_rtx_builds_what_is_exported_for_tensorrt(exported: dict[str, Path]) -> None:
    if not try_build.is_installed():
        pytest.skip(f"{try_build.PACKAGE} is not installed")
    trial = try_build.trial(exported["tensorrt"])
    assert trial.findings == [] and trial.engine_bytes > 0
