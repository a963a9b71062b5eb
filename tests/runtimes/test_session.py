import sys
from pathlib import Path

import numpy as np
import pytest

from edgesmith.errors import ContractError, RuntimeUnavailableError
from edgesmith.preprocess import normalise
from edgesmith.runtimes import session as runtimes
from tests.artifacts import SPEC, expected_logits, make_artifact


@pytest.fixture
def images() -> np.ndarray:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (5, SPEC.height, SPEC.width, 3), dtype=np.uint8)


@pytest.mark.parametrize("batch", [1, -1, 2])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_any_number_of_images_runs_whatever_the_networks_batch(
    tmp_path: Path, images: np.ndarray, batch: int, layout: str
) -> None:
    artifact = make_artifact(tmp_path / "onnx", batch=batch, layout=layout)
    logits = runtimes.predict(runtimes.load(artifact), images)
    assert logits.shape == (5, 3) and logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected_logits(normalise(images, SPEC)), atol=1e-5)


def test_quantized_tensors_are_converted_by_the_contract(
    tmp_path: Path, images: np.ndarray
) -> None:
    artifact = make_artifact(tmp_path / "onnx", quantized=True)
    logits = runtimes.predict(runtimes.load(artifact), images)
    # Half a step of 1/64 at the input times the weights' row sum of 4, and half a step at the end.
    np.testing.assert_allclose(logits, expected_logits(normalise(images, SPEC)), atol=2.5 / 64)


def test_session_says_what_it_runs_on(artifact: Path) -> None:
    session = runtimes.load(artifact, threads=2)
    assert session.providers == ("cpu",)
    assert session.threads == 2
    assert session.engine.startswith("onnxruntime 1.")


def test_provider_may_be_given_by_its_full_name(artifact: Path) -> None:
    assert runtimes.load(artifact, 1, ["CPUExecutionProvider"]).providers == ("cpu",)


def test_trt_artifact_runs_in_onnx_runtime(tmp_path: Path, images: np.ndarray) -> None:
    artifact = make_artifact(tmp_path / "onnx-trt", format_name="onnx-trt")
    assert runtimes.predict(runtimes.load(artifact), images).shape == (5, 3)


def test_damaged_artifact_is_not_loaded(artifact: Path) -> None:
    (artifact / "model.onnx").write_bytes(b"not onnx")
    with pytest.raises(ContractError, match="does not match"):
        runtimes.load(artifact)


def test_network_unlike_its_contract_is_refused(tmp_path: Path) -> None:
    artifact = make_artifact(tmp_path / "onnx", batch=2)
    path = artifact / "contract.json"
    path.write_text(path.read_text().replace('"image"', '"picture"'))
    with pytest.raises(ContractError, match="no input is named 'picture'"):
        runtimes.load(artifact)


@pytest.mark.parametrize(
    ("provider", "message"),
    [
        ("cuda", "available: cpu; install onnxruntime-gpu"),
        ("OpenVINOExecutionProvider", "install onnxruntime-openvino"),
        ("abacus", "known names: cpu,"),
    ],
)
def test_missing_provider_is_refused_with_what_to_install(
    artifact: Path, provider: str, message: str
) -> None:
    with pytest.raises(RuntimeUnavailableError, match=message):
        runtimes.load(artifact, 1, [provider, "cpu"])


def test_unknown_format_is_refused(tmp_path: Path) -> None:
    artifact = make_artifact(tmp_path / "x", format_name="abacus")
    with pytest.raises(RuntimeUnavailableError, match="'abacus'; known: onnx"):
        runtimes.load(artifact)


def test_missing_engine_says_what_to_install(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "edgesmith.runtimes.onnxruntime", raising=False)
    monkeypatch.delattr("edgesmith.runtimes.onnxruntime", raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(RuntimeUnavailableError, match=r"pip install edgesmith\[device-onnx\]"):
        runtimes.load(artifact)


def test_batch_of_another_size_is_refused(artifact: Path) -> None:
    session = runtimes.load(artifact)
    with pytest.raises(ContractError, match=r"takes \(N, 3, 8, 12\)"):
        session.run(np.zeros((1, 3, 12, 8), np.float32))
