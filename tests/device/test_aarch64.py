"""The wheel on ARM binaries: docs/aarch64.md. Minutes; asked for by EDGESMITH_AARCH64=1."""

import os
import shutil
from pathlib import Path

import pytest

from benchmarks.aarch64 import machine, trial
from edgesmith.device import slim
from edgesmith.errors import DataError
from tests.imports import ROOT

# Variant, format, what it is tested on, images.
CASES = [
    (variant, name, data, count)
    for variant, data, count in (
        ("mobilenetv2-baseline", "signs", 16),
        ("mobilenetv2-fp16", "signs", 16),
        ("mobilenetv2-qat", "signs", 16),
        ("yolo26n-baseline", "scenes", 4),
        ("yolo26n-qat", "scenes", 4),
    )
    for name in ("onnx", "ncnn", "tflite")
]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.environ.get("EDGESMITH_AARCH64") != "1",
        reason="set EDGESMITH_AARCH64=1: fetches a Debian of aarch64 and emulates it for minutes",
    ),
    pytest.mark.skipif(bool(machine.why_not()), reason=machine.why_not() or "can emulate"),
]


@pytest.fixture(scope="module")
def arm() -> machine.Machine:
    """Kept in tmp/aarch64, or where EDGESMITH_AARCH64_ROOT says."""
    folder = Path(os.environ.get("EDGESMITH_AARCH64_ROOT", ROOT / "tmp/aarch64"))
    return machine.prepare(folder, ROOT)


def _built(name: str) -> Path:
    """`artifacts` or `data` of a built checkout; EDGESMITH_AARCH64_CHECKOUT names another one."""
    folder = Path(os.environ.get("EDGESMITH_AARCH64_CHECKOUT", ROOT)) / name
    if not any(folder.glob("*/*")):
        pytest.skip(f"{folder} is empty: build with `dvc repro`, or fetch it with `dvc pull`")
    return folder


def test_emulated_machine_is_an_arm_that_runtimes_take_for_a_pi(arm: machine.Machine) -> None:
    said = arm.run("-c", "import platform; print(platform.machine(), open('/proc/cpuinfo').read())")
    assert said.startswith("aarch64") and "0xd0b" in said and "asimddp" in said


def test_doctor_finds_all_three_runtimes(arm: machine.Machine) -> None:
    said = arm.run("-m", "edgesmith", "doctor")
    for name in ("onnx ", "tflite", "ncnn"):
        assert any(f"run {name}" in line and "yes:" in line for line in said.splitlines())


@pytest.mark.parametrize(
    ("variant", "name", "data", "count"),
    CASES,
)
def test_artifact_says_on_arm_what_it_says_on_x86(
    arm: machine.Machine, tmp_path: Path, variant: str, name: str, data: str, count: int
) -> None:
    artifact = _built("artifacts") / variant / name
    if not artifact.is_dir():
        pytest.skip(f"{artifact} was not built")
    try:
        pictures = trial.images(_built("data") / data / "test.tar", count, tmp_path)
    except (DataError, OSError) as error:
        pytest.skip(f"no test images: {error}")
    done = trial.run(arm, artifact, pictures, tmp_path)
    assert done.row.faults == ()
    assert done.row.same_pixels == 1.0
    assert done.runs >= 20
    assert "aarch64" in done.arm


@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_libraries_still_run_after_slim(arm: machine.Machine, tmp_path: Path, name: str) -> None:
    artifact = _built("artifacts") / "mobilenetv2-qat" / name
    pictures = trial.images(_built("data") / "signs/test.tar", 1, tmp_path)
    site = tmp_path / "site"
    shutil.copytree(arm.python.parent / f"site-{machine.SUITE}", site)
    removable = slim.find(site)
    assert sum(one.bytes for one in removable) > 40e6
    slim.remove(site, removable)
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from edgesmith.cli import app; app()"
    words = ("predict", str(artifact), str(pictures[0]), "--json")
    assert arm.run("-c", code, str(site), *words) == arm.run("-m", "edgesmith", *words)
