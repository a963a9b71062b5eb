"""Builder and runtime up to the vendor's boundary: tests.trt.vendor stands in for TensorRT, CUDA.

NO VENDOR CODE RAN and no engine was built. What is real: artifacts, contracts, ONNX Runtime.
"""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest

from edgesmith import contract as contracts
from edgesmith.data.classify.store import Sample, write_dataset
from edgesmith.data.detect import store as detect
from edgesmith.data.png import encode_png
from edgesmith.errors import ContractError, ExportError, ParityError, RuntimeUnavailableError
from edgesmith.preprocess import decode_image, fit
from edgesmith.runtimes import session as runtimes
from edgesmith.trt import images, key
from tests.artifacts import LABELS, SPEC, expected_logits, make_artifact
from tests.trt.vendor import Cuda, TensorRt

OURS = ("edgesmith.trt.cuda", "edgesmith.runtimes.tensorrt", "edgesmith.trt.build")


class Board(NamedTuple):
    build: Any
    cuda: Cuda
    tensorrt: TensorRt


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    cuda = Cuda()
    tensorrt = TensorRt(cuda)
    packages = {"cuda": ModuleType("cuda"), "cuda.bindings": ModuleType("cuda.bindings")}
    packages["cuda.bindings"].runtime = cuda
    for name, module in {**packages, "tensorrt": tensorrt}.items():
        monkeypatch.setitem(sys.modules, name, module)
    _forget()
    yield Board(importlib.import_module("edgesmith.trt.build"), cuda, tensorrt)
    _forget()


def _forget() -> None:
    for name in OURS:
        sys.modules.pop(name, None)
        package, _, leaf = name.rpartition(".")
        if hasattr(sys.modules.get(package), leaf):
            delattr(sys.modules[package], leaf)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_artifact(tmp_path / "artifacts/tiny/onnx-trt", format_name="onnx-trt")


def _png(number: int) -> bytes:
    image = np.random.default_rng(number).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    return encode_png(image)


def _build(board: Board, source: Path, **settings: Any) -> Path:
    artifact = source.parent / "engine"
    settings = {"trial": images.noise(SPEC)} | settings
    board.build.build(source, artifact, min_sqnr_db=60, **settings)
    return artifact


def test_engine_artifact_carries_its_key_and_runs(board: Board, source: Path) -> None:
    artifact = _build(board, source)
    contract = contracts.verify(artifact)
    assert contract.format == "engine" and contract.target == "Orin, SM 87, TensorRT 10.3.0"
    assert set(contract.files) == {"model.engine", "engine.json"}
    found = key.read(artifact)
    assert found.onnx_sha256 == contracts.read(source).files["model.onnx"].sha256
    images = np.random.default_rng(0).normal(size=(3, 3, 8, 12)).astype(np.float32)
    session = runtimes.load(artifact, providers=("cuda",))
    np.testing.assert_allclose(session.run(images), expected_logits(images), atol=1e-5)
    assert contract.parity.agreement == 1 and contract.parity.images == 16
    assert contract.parity.metric_drop is None and "noise" in contract.parity.against


def test_engine_is_tried_with_stored_images_where_there_are_some(
    board: Board, source: Path, tmp_path: Path
) -> None:
    assert images.of(tmp_path / "data/tints", SPEC).origin == "noise"
    rows = [Sample(k % 3, f"{k}.png", _png(k)) for k in range(6)]
    write_dataset(tmp_path / "data/tints", LABELS, {"calibration": rows}, "signs")
    found = images.of(tmp_path / "data/tints", SPEC)
    parity = contracts.read(_build(board, source, trial=found)).parity
    assert parity.images == 6 and "calibration images of" in parity.against
    np.testing.assert_array_equal(found.images[4], fit(decode_image(_png(4), "png"), SPEC))


def test_images_of_scenes_are_told_from_their_labels(tmp_path: Path) -> None:
    boxes, classes = np.array([[0.5, 0.5, 0.2, 0.2]]), np.array([0])
    rows = [detect.AnnotatedImage(f"{k}.png", _png(k), boxes, classes) for k in range(3)]
    detect.write_scenes(tmp_path / "scenes", LABELS, {"calibration": rows}, "scenes")
    assert images.of(tmp_path / "scenes", SPEC).images.shape == (3, SPEC.height, SPEC.width, 3)


def test_engine_that_answers_otherwise_says_how_often(
    board: Board, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = board.build.runtime
    plain = module.TensorRtSession.call
    monkeypatch.setattr(
        module.TensorRtSession,
        "call",
        lambda self, batch: [v[:, ::-1].copy() for v in plain(self, batch)],
    )
    artifact = source.parent / "engine"
    board.build.build(source, artifact, min_sqnr_db=-99, trial=images.noise(SPEC))
    found = contracts.read(artifact).parity
    assert found.agreement < 1 and found.metric_drop is None


def test_network_is_strongly_typed_within_the_workspace(board: Board, source: Path) -> None:
    _build(board, source, workspace_mb=64)
    assert board.tensorrt.calls["flags"] == 1 << 1
    assert board.tensorrt.calls["workspace"] == 64 << 20


def test_version_11_knows_no_flag(board: Board, source: Path) -> None:
    board.tensorrt.__version__ = "11.4.1"
    del board.tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED
    _build(board, source)
    assert board.tensorrt.calls["flags"] == 0


def test_every_run_is_one_launch_of_the_recorded_graph(board: Board, source: Path) -> None:
    session = runtimes.load(_build(board, source), providers=("cuda",))
    before = board.cuda.launches
    session.run(np.zeros((4, 3, 8, 12), np.float32))
    assert board.cuda.launches - before == 4


def test_engine_that_cannot_be_recorded_runs_all_the_same(board: Board, source: Path) -> None:
    board.tensorrt.capturable = False
    session = runtimes.load(_build(board, source), providers=("cuda",))
    images = np.ones((1, 3, 8, 12), np.float32)
    np.testing.assert_allclose(session.run(images), expected_logits(images), atol=1e-5)
    assert board.cuda.launches == 0


def test_session_gives_all_memory_back(board: Board, source: Path) -> None:
    session = runtimes.load(_build(board, source), providers=("cuda",))
    assert len(board.cuda.memory) == 4
    session.close()
    assert not board.cuda.memory


def test_timing_cache_and_tactics_are_kept(board: Board, source: Path, tmp_path: Path) -> None:
    cache, log = tmp_path / "timing.cache", tmp_path / "tactics.log"
    cache.write_bytes(b"earlier")
    _build(board, source, timing_cache=cache, log_file=log)
    assert cache.read_bytes() == b"earlier+timed" and "Tactic: 0x1" in log.read_text()


def test_dla_falls_back_to_the_gpu(board: Board, tmp_path: Path) -> None:
    source = make_artifact(tmp_path / "half/onnx-trt", format_name="onnx-trt")
    contract = contracts.read(source)
    contracts.write(contract.model_copy(update={"precision": "fp16"}), source)
    with pytest.raises(ExportError, match="no DLA"):
        _build(board, source, dla=True)
    board.tensorrt.dla_cores = 2
    artifact = _build(board, source, dla=True)
    assert board.tensorrt.calls["config"].default_device_type == "dla"
    assert board.tensorrt.calls["gpu_fallback"] and key.read(artifact).dla


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cuda": {"name": b"AD102"}}, "GPU Orin there, AD102 here"),
        ({"cuda": {"capability": (8, 9)}}, "SM 87 there, 89 here"),
    ],
)
def test_foreign_engine_is_refused_with_the_reason(
    board: Board, source: Path, change: dict[str, Any], reason: str
) -> None:
    artifact = _build(board, source)
    for name, value in change["cuda"].items():
        setattr(board.cuda, name, value)
    with pytest.raises(ContractError, match=reason):
        runtimes.load(artifact, providers=("cuda",))


def test_engine_of_another_tensorrt_is_refused(board: Board, source: Path) -> None:
    artifact = _build(board, source)
    board.tensorrt.__version__ = "10.7.0"
    with pytest.raises(ContractError, match=r"TensorRT 10\.3\.0 there, 10\.7\.0 here"):
        runtimes.load(artifact, providers=("cuda",))


def test_old_tensorrt_is_refused_before_anything_is_built(board: Board, source: Path) -> None:
    board.tensorrt.__version__ = "8.6.2"
    with pytest.raises(ExportError, match=r"10\.3 or newer"):
        _build(board, source)


def test_refused_build_leaves_the_engine_that_was_there(board: Board, source: Path) -> None:
    artifact = _build(board, source)
    before = (artifact / "contract.json").read_bytes()
    board.tensorrt.refuses = True
    with pytest.raises(ExportError, match="gave no engine"):
        _build(board, source)
    assert (artifact / "contract.json").read_bytes() == before


def test_engine_that_computes_something_else_is_refused(
    board: Board, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = board.build.runtime
    plain = module.TensorRtSession.call
    monkeypatch.setattr(
        module.TensorRtSession, "call", lambda self, batch: [v + 1 for v in plain(self, batch)]
    )
    with pytest.raises(ParityError, match="tactics log"):
        _build(board, source)
    assert not (source.parent / "engine").exists()


def test_machine_without_gpu_says_so(board: Board, source: Path) -> None:
    board.cuda.devices = 0
    with pytest.raises(RuntimeUnavailableError, match="no CUDA-capable device"):
        _build(board, source)


def test_session_without_cuda_among_its_providers_is_refused(board: Board, source: Path) -> None:
    with pytest.raises(RuntimeUnavailableError, match="leave the provider out, or name cuda"):
        runtimes.load(_build(board, source), providers=("cpu",))


def test_session_without_a_provider_is_on_the_gpu(board: Board, source: Path) -> None:
    assert runtimes.load(_build(board, source)).providers == ("cuda",)
