import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgesmith.bench import process as processes
from edgesmith.bench import record
from edgesmith.bench.frame import camera_frame
from edgesmith.bench.measure import (
    Loadable,
    Process,
    Settings,
    measure_pair,
)
from edgesmith.device.sensors.find import Sensors
from edgesmith.errors import ContractError, RuntimeUnavailableError
from edgesmith.intervals import Bounds
from edgesmith.preprocess import decode_image
from tests.artifacts import make_artifact

NONE = Sensors(absent=dict.fromkeys(("temperature", "clock", "throttling", "power"), "none"))
QUICK = Settings(rounds=2, min_runs=5, min_seconds=0.01, max_warmup_seconds=0.3)
WHERE = {"device": "host", "fingerprint": "0123456789ab"}


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for child in value.values() for leaf in _leaves(child)]
    return [value]


def test_record_holds_every_key_and_nothing_that_dvc_drops(tmp_path: Path) -> None:
    tiny = make_artifact(tmp_path / "tiny/onnx")
    base = make_artifact(tmp_path / "base/onnx", variant="base")
    measured = measure_pair(tiny, base, QUICK, **WHERE)
    path = tmp_path / "metrics.json"
    record.write(measured, path)
    assert record.read(path) == measured
    flat = measured.model_dump(mode="json")
    assert all(isinstance(leaf, str | int | float | bool) for leaf in _leaves(flat))
    assert set(flat["latency_ms"]) == {"p50", "p90", "p99", "mean"}
    assert set(flat["end_to_end_ms"]) == {"p50", "p90", "p99"}
    assert flat["variant"] == "tiny" and flat["baseline"] == "base"
    assert flat["runtime"].startswith("onnxruntime ") and flat["providers"] == "cpu"
    assert flat["rounds"] == 2 and flat["runs"] >= 10 and flat["warmup_runs"] >= 1
    assert flat["speedup_ci95"]["low"] <= flat["speedup_vs_baseline"]
    assert flat["end_to_end_ms"]["p50"] > flat["latency_ms"]["p50"]
    assert flat["end_to_end_runs"] >= 64 and flat["end_to_end_fps"] > 0


def test_artifact_that_is_its_own_baseline_is_measured_once(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Path] = []
    start = Process.__init__

    def count(self: Process, network: Loadable, *rest: Any) -> None:
        started.append(network.folder)
        start(self, network, *rest)

    monkeypatch.setattr(Process, "__init__", count)
    measured = measure_pair(artifact, artifact, QUICK, **WHERE)
    assert started == [artifact] * QUICK.rounds
    assert measured.speedup_vs_baseline == 1
    assert measured.speedup_ci95 == Bounds(low=1, high=1)


def test_each_artifact_has_a_process_of_its_own(artifact: Path) -> None:
    frame = camera_frame()
    network = Loadable(artifact)
    with Process(network, QUICK, frame) as one, Process(network, QUICK, frame) as other:
        assert len({one.loaded["pid"], other.loaded["pid"], os.getpid()}) == 3


def test_error_of_the_worker_arrives_as_itself(artifact: Path) -> None:
    (artifact / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(ContractError, match=r"model\.onnx"):
        measure_pair(artifact, artifact, QUICK, **WHERE)


def test_missing_provider_is_named(artifact: Path) -> None:
    with pytest.raises(RuntimeUnavailableError, match="abacus"):
        measure_pair(artifact, artifact, QUICK._replace(providers=("abacus",)), **WHERE)


def test_worker_that_is_killed_is_reported_with_its_signal(artifact: Path) -> None:
    with Process(Loadable(artifact), QUICK, camera_frame()) as process:
        os.kill(process.loaded["pid"], 9)
        with pytest.raises(RuntimeUnavailableError, match="signal SIGKILL"):
            process.ask(do="finish")


def test_worker_that_hangs_is_ended(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Process(Loadable(artifact), QUICK, camera_frame()) as process:
        monkeypatch.setattr(processes, "_PATIENCE_SECONDS", 0.2)
        with pytest.raises(RuntimeUnavailableError, match="SIGKILL"):
            process.ask(do="sample", what="infer", min_runs=1, min_seconds=60, settle_seconds=0)


def test_worker_ends_with_its_input() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgesmith.bench.worker"],
        input="",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""


def test_frame_is_the_same_jpeg_each_time() -> None:
    assert camera_frame() == camera_frame()
    assert decode_image(camera_frame(), "frame").shape == (480, 640, 3)


def test_damaged_record_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"version": 1}')
    with pytest.raises(ContractError, match=r"x\.json"):
        record.read(path)
