import sys
from pathlib import Path

import pytest

from edgesmith.device import doctor, fingerprint
from edgesmith.errors import ContractError
from tests.device.boards import lay_out


def test_two_probes_of_one_machine_are_equal() -> None:
    assert fingerprint.probe("host") == fingerprint.probe("host")


def test_fingerprint_names_what_latency_depends_on() -> None:
    found = fingerprint.fingerprint()
    assert found.keys() >= {"arch", "cores", "cpu", "memory_gib", "os", "python"}
    assert found["runtime.onnxruntime"]
    assert all(isinstance(value, str) and value for value in found.values())


def test_nothing_volatile_is_in_the_fingerprint() -> None:
    words = ("temp", "load", "uptime", "freq", "current", "available", "used", "host", "time_")
    assert not [key for key in fingerprint.fingerprint() for word in words if word in key]


def test_id_changes_with_any_value_and_not_with_their_order() -> None:
    assert fingerprint.fingerprint_id({"a": "1", "b": "2"}) == fingerprint.fingerprint_id(
        {"b": "2", "a": "1"}
    )
    assert fingerprint.fingerprint_id({"a": "1"}) != fingerprint.fingerprint_id({"a": "2"})


def test_unchanged_record_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "devices/host/device.json"
    device = fingerprint.probe("host")
    fingerprint.write(device, path)
    inode = path.stat().st_ino
    fingerprint.write(device, path)
    assert path.stat().st_ino == inode
    assert fingerprint.read(path) == device == fingerprint.here(path)


def test_record_of_another_machine_is_not_measured_under(tmp_path: Path) -> None:
    path = tmp_path / "device.json"
    other = {"cpu": "Cortex-A76"}
    fingerprint.write(
        fingerprint.Device(
            name="host", fingerprint=other, fingerprint_id=fingerprint.fingerprint_id(other)
        ),
        path,
    )
    with pytest.raises(ContractError, match="describes another machine"):
        fingerprint.here(path)


def test_missing_record_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"python -m stages\.probe"):
        fingerprint.read(tmp_path / "device.json")


def test_damaged_record_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "device.json"
    path.write_text("{}")
    with pytest.raises(ContractError, match="not a device record"):
        fingerprint.read(path)


@pytest.mark.parametrize(
    ("cpuinfo", "isa", "model"),
    [
        (
            "processor\t: 0\nmodel name\t: Intel(R) Xeon(R)\ncpu MHz\t: 2799.9\n"
            "flags\t\t: fpu sse4_1 avx2 avx512_vnni amx_int8\n",
            "sse4_1 avx2 avx512_vnni amx_int8",
            "Intel(R) Xeon(R)",
        ),
        (
            "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd fphp asimdhp asimddp\n"
            "CPU implementer\t: 0x41\nCPU part\t: 0xd0b\n",
            "asimd fphp asimdhp asimddp",
            "Raspberry Pi 5 Model B Rev 1.0 0xd0b",
        ),
    ],
)
def test_cpu_is_read_from_what_the_kernel_says(
    tmp_path: Path, cpuinfo: str, isa: str, model: str
) -> None:
    lay_out(
        tmp_path,
        {"proc/cpuinfo": cpuinfo, "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0"},
    )
    found = fingerprint.fingerprint(tmp_path)
    assert found["isa"] == isa
    assert found["cpu"] == model


def test_doctor_says_what_runs_here() -> None:
    found = doctor.examine()
    assert found["run onnx"].startswith("yes: onnxruntime")
    assert "cpu" in found["run onnx"] and "Azure" not in found["run onnx"]
    assert found["run tflite"].startswith("yes: litert") and found["run ncnn"].startswith(
        "yes: ncnn"
    )


def test_doctor_says_how_to_get_a_missing_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("edgesmith.runtimes.ncnn", "ncnn"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "ncnn", None)
    assert doctor.examine()["run ncnn"] == "no: pip install edgesmith[device-ncnn]"
