"""probe, evaluate, benchmark and compare on two tiny artifacts, as `dvc repro` runs them."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors.numpy import save_file

from edgesmith.data.classify.store import Sample, write_dataset
from edgesmith.errors import ContractError
from stages import benchmark, compare, evaluate_classify, probe
from tests.artifacts import LABELS, make_artifact
from tests.checkout import PARAMS


def _sample(label: int, number: int) -> Sample:
    image = np.full((8, 12, 3), 40, np.uint8)
    image[:, :, 2 - label] = 200  # OpenCV writes BGR
    return Sample(label, f"{number}.png", cv2.imencode(".png", image)[1].tobytes())


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS.replace("variant: pruned", "variant: ptq"))
    test = [_sample(label, number) for label in range(3) for number in range(4)]
    write_dataset(tmp_path / "data/signs", LABELS, {"test": test}, "signs")
    logits = np.tile(np.eye(3, dtype=np.float32), (4, 1))  # classes take turns in a split
    for variant, names in (("base", ("self", "baseline")), ("ptq", ("self", "parent", "baseline"))):
        make_artifact(tmp_path / f"artifacts/{variant}/onnx", variant=variant)
        (tmp_path / f"models/{variant}").mkdir(parents=True)
        save_file(
            dict.fromkeys(names, logits), tmp_path / f"models/{variant}/reference.safetensors"
        )
    return tmp_path


def test_two_artifacts_become_a_comparison(checkout: Path) -> None:
    probe.run()
    for variant in ("base", "ptq"):
        evaluate_classify.run(variant, "onnx")
        benchmark.run(variant, "onnx")
    compare.run()
    accuracy = json.loads((checkout / "metrics/accuracy/ptq.onnx.json").read_text())
    assert accuracy["value"] == 1 and accuracy["images"] == 12
    assert accuracy["delta_vs_baseline"] == 0 and accuracy["agreement_vs_parent"] == 1
    bench = json.loads((checkout / "metrics/bench/host/ptq.onnx.json").read_text())
    device = json.loads((checkout / "devices/host/device.json").read_text())
    assert bench["fingerprint"] == device["fingerprint_id"] and bench["baseline"] == "base"
    rows = json.loads((checkout / "metrics/strategies.json").read_text())
    assert list(rows) == ["base.onnx", "ptq.onnx"] and rows["base.onnx"]["speedup"] == 1
    active = json.loads((checkout / "metrics/active.json").read_text())
    assert active["variant"] == "ptq" and active["accuracy"] == 1
    assert "| ptq | onnx |" in (checkout / "metrics/comparison.md").read_text()
    assert (checkout / "metrics/strategies.png").stat().st_size > 0


def test_evaluation_twice_gives_equal_bytes(checkout: Path) -> None:
    path = checkout / "metrics/accuracy/base.onnx.json"
    evaluate_classify.run("base", "onnx")
    first = path.read_bytes()
    evaluate_classify.run("base", "onnx")
    assert path.read_bytes() == first


def test_benchmark_under_the_record_of_another_machine_is_refused(checkout: Path) -> None:
    probe.run()
    path = checkout / "devices/host/device.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"fingerprint_id": "0" * 12}))
    with pytest.raises(ContractError, match="describes another machine"):
        benchmark.run("base", "onnx")
