import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from edgesmith.cli import app
from tests.checkout import PARAMS, add_cell, add_runtimes, make_checkout

BUILD_SIDE = ("torch", "onnx", "yaml", "ruamel", "dvc", "matplotlib", "timm", "edgesmith.params")


def _run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def _fail(*arguments: object) -> str:
    """Standard error of a command that ends with status 1, one message and no traceback."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ") and "Traceback" not in result.stderr
    return result.stderr


@pytest.fixture
def red(tmp_path: Path) -> Path:
    path = tmp_path / "red.png"
    cv2.imwrite(str(path), np.full((40, 60, 3), (0, 0, 255), np.uint8))  # BGR
    return path


def _loaded(code: str) -> list[str]:
    """Modules that a fresh interpreter holds after `code`."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_device_side_imports_nothing_of_the_build_side() -> None:
    modules = (
        "edgesmith.cli edgesmith.contract edgesmith.preprocess edgesmith.decode "
        "edgesmith.runtimes.session edgesmith.runtimes.onnxruntime edgesmith.bench.measure "
        "edgesmith.bench.worker edgesmith.bench.record edgesmith.device.fingerprint "
    )
    loaded = _loaded(f"import {', '.join(modules.split())}")
    assert not [name for name in BUILD_SIDE if name in loaded]
    assert not [
        name for name in loaded if name.startswith(("edgesmith.tasks", "edgesmith.formats"))
    ]


def test_command_line_imports_nothing_heavy_before_a_command_runs() -> None:
    loaded = _loaded("import edgesmith.cli")
    heavy = (*BUILD_SIDE, "numpy", "cv2", "onnxruntime", "pydantic", "rich")
    assert not [name for name in heavy if name in loaded]


@pytest.mark.parametrize(
    "command",
    [
        "inspect",
        "verify",
        "bench",
        "predict",
        "compare",
        "devices",
        "doctor",
        "overlay",
        "ncnn-quantize",
        "sensors",
        "slim",
        "soak",
        "probe",
        "profile",
        "lint",
        "publish",
        "pull",
        "releases",
        "rollback",
    ],
)
def test_every_command_has_help_with_an_example(command: str) -> None:
    assert f"Example: edgesmith {command}" in " ".join(_run(command, "--help").split())


def test_inspect_shows_the_contract(artifact: Path) -> None:
    assert "red" not in _run("inspect", artifact)
    assert "1×3×8×12 NCHW float32" in _run("inspect", artifact)
    assert json.loads(_run("inspect", artifact, "--json"))["labels"] == ["red", "green", "blue"]


def test_verify_accepts_an_intact_artifact_and_refuses_a_damaged_one(artifact: Path) -> None:
    assert "1 file(s) match" in _run("verify", artifact)
    (artifact / "model.onnx").write_bytes(b"damaged")
    assert "model.onnx" in _fail("verify", artifact)


def test_folder_that_is_no_artifact_is_explained(tmp_path: Path) -> None:
    assert "an artifact is a folder" in _fail("inspect", tmp_path / "nothing")


def test_predict_names_the_classes_of_an_image(artifact: Path, red: Path) -> None:
    predictions = json.loads(_run("predict", artifact, red, "--json"))[str(red)]
    assert predictions[0]["label"] == "red" and len(predictions) == 3
    assert "red" in _run("predict", artifact, red)


def test_predict_names_the_image_that_it_cannot_read(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("hello")
    assert "text.jpg" in _fail("predict", artifact, tmp_path / "text.jpg")


def test_bench_measures_here_and_now(artifact: Path, red: Path) -> None:
    output = _run("bench", artifact, "--rounds", 1, "--image", red, "--json")
    measured = json.loads(output)
    assert measured["latency_ms"]["p50"] > 0 and measured["variant"] == "tiny"


def test_bench_refuses_a_provider_that_is_not_installed(artifact: Path) -> None:
    assert "onnxruntime-gpu" in _fail("bench", artifact, "--provider", "cuda")


def test_compare_prints_the_measured_table(tmp_path: Path) -> None:
    folder = make_checkout(tmp_path)
    add_cell(folder, "base", 900, delta=0.0)
    add_cell(folder, "pruned", 890, speedup=1.43, delta=-0.01)
    add_runtimes(folder)
    output = _run("compare", "--folder", folder)
    assert "pruned" in output and "Abacus 9000" in output
    assert "PyTorch eager FP32 → ONNX Runtime INT8: 5.0× [4.8, 5.2]" in output
    rows = json.loads(_run("compare", "--folder", folder, "--json"))
    assert rows["pruned.onnx"]["speedup"] == 1.43


def test_compare_without_metrics_says_what_to_run(tmp_path: Path) -> None:
    assert "dvc repro" in _fail("compare", "--folder", make_checkout(tmp_path))


@pytest.mark.parametrize("command", [("compare",), ("overlay", "o.yaml")])
def test_build_side_command_on_a_device_says_what_to_install(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install edgesmith[build]" in _fail(*command)


def test_doctor_reports_the_runtimes() -> None:
    found = json.loads(_run("doctor", "--json"))
    assert found["run onnx"].startswith("yes: onnxruntime")
    assert found["run ncnn"].startswith("yes: ncnn")


def test_doctor_says_what_is_needed_for_accelerators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    found = json.loads(_run("doctor", "--json"))
    assert found["lint onnx-trt"].startswith("yes: onnx ")
    assert found["build engine"].startswith("no") and "10.3 or newer" in found["build engine"]
    assert found["build edgetpu"].startswith("no: edgetpu_compiler is not on the PATH")
    assert found["run edgetpu"].startswith("no") and "libedgetpu1-std" in found["run edgetpu"]
    assert found["run hef"].startswith("no: HailoRT") and "hailo-all" in found["run hef"]
    assert found["build hef"].startswith("no") and "5.x for 10H" in found["build hef"]
    assert "hailortcli is not installed" in found["measure hef (hailortcli)"]


def test_overlay_changes_params_or_says_why_not(tmp_path: Path) -> None:
    params, change = tmp_path / "params.yaml", tmp_path / "o.yaml"
    params.write_text(PARAMS)
    change.write_text("runtime: {threads: 3}\n")
    _run("overlay", change, "--params", params)
    assert "threads: 3" in params.read_text()
    change.write_text("runtime: {threads: many}\n")
    assert "runtime.threads" in _fail("overlay", change, "--params", params)
