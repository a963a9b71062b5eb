import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.ssh.loopback import Loopback
from edgesmith.cli import app
from edgesmith.device import fingerprint
from edgesmith.errors import ContractError
from edgesmith.remote.errors import ConnectionLostError
from edgesmith.remote.options import Options
from edgesmith.remote.probe import probe, require_same_machine
from stages import probe_device
from tests.checkout import make_device


def test_device_is_described_by_the_code_that_describes_this_machine(
    device: Loopback, options: Options
) -> None:
    found = probe(device.target, "rpi5", options=options)
    here = fingerprint.probe("rpi5")
    assert found.name == "rpi5"
    for key in ("arch", "cpu", "isa", "kernel", "memory_gib", "os", "runtime.onnxruntime"):
        assert found.fingerprint.get(key) == here.fingerprint.get(key)
    # The device has one engine alone.
    assert "runtime.ncnn" not in found.fingerprint


@pytest.mark.slow
def test_command_prints_the_record_of_the_device(device: Loopback) -> None:
    words = ["probe", "--device", str(device.target), "--name", "rpi5", "--json"]
    done = CliRunner().invoke(app, [*words, "--remote-python", device.target.python])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["name"] == "rpi5"


def test_command_without_a_device_describes_this_machine() -> None:
    done = CliRunner().invoke(app, ["probe", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["fingerprint"] == fingerprint.fingerprint()


def test_another_machine_is_not_taken_for_the_device(tmp_path: Path) -> None:
    path = tmp_path / "device.json"
    fingerprint.write(make_device(), path)
    with pytest.raises(ContractError, match=r"'Abacus 9000'.*another device"):
        require_same_machine(fingerprint.probe("rpi5"), path)


def test_machine_after_an_update_is_the_same_device(tmp_path: Path) -> None:
    here = fingerprint.probe("rpi5")
    path = tmp_path / "device.json"
    old = here.model_copy(update={"fingerprint": here.fingerprint | {"kernel": "4.9"}})
    fingerprint.write(old, path)
    require_same_machine(here, path)
    require_same_machine(here, tmp_path / "not-there.json")


def test_stage_leaves_the_record_when_the_device_cannot_be_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "devices/rpi5/device.json"
    fingerprint.write(make_device(), path)
    before = path.read_bytes()
    monkeypatch.setenv("EDGESMITH_TARGET_RPI5", "ssh://pi@127.0.0.1:1")
    with pytest.raises(ConnectionLostError, match="refused"):
        probe_device.run("rpi5")
    assert path.read_bytes() == before
