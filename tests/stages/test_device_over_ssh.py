"""probe_device and benchmark_device, as `dvc repro` runs them, on a device behind a real sshd."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ssh.loopback import Loopback, loopback, why_not
from edgesmith.device.recognise import WrongDeviceError
from edgesmith.errors import EdgesmithError
from edgesmith.remote.connection import CONFIG
from stages import benchmark_device, probe_device
from tests.artifacts import make_artifact
from tests.checkout import PARAMS


@pytest.fixture(scope="module")
def device() -> Iterator[Loopback]:
    if why := why_not():
        pytest.skip(why)
    with loopback() as found:
        yield found


@pytest.fixture
def checkout(device: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two artifacts, and a device that no catalogue knows, named in devices/shelf/target."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(CONFIG, str(device.config))
    (tmp_path / "params.yaml").write_text(PARAMS)
    for variant in ("base", "ptq"):
        make_artifact(tmp_path / f"artifacts/{variant}/onnx", variant=variant)
    (tmp_path / "devices/shelf").mkdir(parents=True)
    target = f"{device.target}?python={device.target.python}\n"
    (tmp_path / "devices/shelf/target").write_text(target)
    return tmp_path


@pytest.mark.slow
def test_device_is_probed_and_measured(checkout: Path) -> None:
    probe_device.run("shelf")
    benchmark_device.run("shelf", "ptq", "onnx")
    record = json.loads((checkout / "devices/shelf/device.json").read_text())
    bench = json.loads((checkout / "metrics/bench/shelf/ptq.onnx.json").read_text())
    assert bench["device"] == record["name"] == "shelf"
    assert bench["fingerprint"] == record["fingerprint_id"]
    assert bench["baseline"] == "base" and bench["rounds"] == 2


@pytest.mark.slow
def test_figures_are_not_filed_under_another_machine(checkout: Path) -> None:
    probe_device.run("shelf")
    path = checkout / "devices/shelf/device.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fingerprint_id": "0" * 12}))
    with pytest.raises(EdgesmithError, match="not the 'shelf' on record"):
        benchmark_device.run("shelf", "ptq", "onnx")
    assert not (checkout / "metrics").exists()


@pytest.mark.slow
def test_a_machine_is_no_device_that_its_fingerprint_denies(
    device: Loopback, checkout: Path
) -> None:
    (checkout / "devices/rpi5").mkdir()
    target = f"{device.target}?python={device.target.python}\n"
    (checkout / "devices/rpi5/target").write_text(target)
    with pytest.raises(WrongDeviceError, match="not Raspberry Pi 5"):
        probe_device.run("rpi5")
    assert not (checkout / "devices/rpi5/device.json").exists()


def test_device_is_measured_here_when_it_is_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGESMITH_TARGET_HOST", "local")
    (tmp_path / "params.yaml").write_text(PARAMS)
    make_artifact(tmp_path / "artifacts/base/onnx", variant="base")
    probe_device.run("host")
    benchmark_device.run("host", "base", "onnx")
    assert (tmp_path / "metrics/bench/host/base.onnx.json").is_file()
