import pytest

from edgesmith.deliver.choose import choose, engine_fault
from edgesmith.deliver.manifest import Artifact, File, Golden, Object
from edgesmith.device.catalogue import reader

OBJECT = Object(sha256="0" * 64, size_bytes=1, place=f"edgesmith/objects/{'0' * 64}")
FILES = tuple(
    File(name=name, sha256="1" * 64, size_bytes=1, place=f"files/md5/00/{'0' * 30}")
    for name in ("contract.json", "model")
)


def _artifact(format_name: str, variant: str = "net", target: str = "any") -> Artifact:
    golden = Golden(image=OBJECT, output=OBJECT, min_sqnr_db=40, engine="engine")
    return Artifact(
        variant=variant,
        format=format_name,
        task="classify",
        model="net",
        precision="int8",
        target=target,
        files=FILES,
        golden=golden,
    )


def _choose(
    device: str, *artifacts: Artifact, machine: dict | None = None, faults: dict | None = None
):
    machine = {"arch": "aarch64", **(machine or {})}
    return choose(
        artifacts, reader.read(device), machine, fault_of=lambda name: (faults or {}).get(name, "")
    )


def test_format_that_the_device_prefers_is_taken() -> None:
    choice = _choose("rpi5", _artifact("onnx"), _artifact("tflite"), _artifact("ncnn"))
    best = reader.read("rpi5").formats[0].format
    assert choice.taken["net"].format == best
    assert all(f"rpi5 prefers {best}" in reason for reason in choice.skipped.values())
    assert len(choice.skipped) == 2


def test_next_format_is_taken_where_the_runtime_of_the_first_is_missing() -> None:
    first = reader.read("rpi5").formats[0].format
    choice = _choose("rpi5", *map(_artifact, ("onnx", "ncnn")), faults={first: "not installed"})
    assert choice.taken["net"].format != first
    assert choice.skipped[f"net/{first}"] == "not installed"


@pytest.mark.parametrize(
    ("device", "format_name", "target", "machine", "says"),
    [
        ("jetson-nano", "tflite", "any", {}, "jetson-nano does not take tflite; it takes ncnn"),
        ("rpi5", "onnx", "linux x86_64", {}, "built for linux x86_64, and this machine is aarch64"),
        ("rpi5-hailo8l", "hef", "hailo8", {"hailo.arch": "HAILO8L"}, "compiled for hailo8"),
        (
            *("jetson-orin-nano", "engine", "Orin, SM 87, TensorRT 10.3.0"),
            {"gpu.compute": "7.2"},
            "the GPU here is SM 72",
        ),
        (
            *("jetson-orin-nano", "engine", "Orin, SM 87, TensorRT 10.3.0"),
            {"gpu.compute": "8.7", "runtime.tensorrt": "10.7.0"},
            "built by TensorRT 10.3.0, and 10.7.0 is installed",
        ),
    ],
)
def test_what_the_device_cannot_run_is_skipped_with_the_reason(
    device: str, format_name: str, target: str, machine: dict, says: str
) -> None:
    choice = _choose(device, _artifact(format_name, target=target), machine=machine)
    assert not choice.taken and says in choice.skipped[f"net/{format_name}"]


@pytest.mark.parametrize(
    ("device", "format_name", "target", "machine"),
    [
        ("rpi5-hailo8", "hef", "hailo8l", {"hailo.arch": "HAILO8"}),
        ("rpi5", "onnx", "linux arm64", {}),
        ("rpi5", "ncnn", "any", {}),
        (
            *("jetson-orin-nano", "engine", "Orin, SM 87, TensorRT 10.3.0"),
            {"gpu.compute": "8.7", "runtime.tensorrt": "10.3.0"},
        ),
    ],
)
def test_what_the_device_can_run_is_taken(
    device: str, format_name: str, target: str, machine: dict
) -> None:
    choice = _choose(device, _artifact(format_name, target=target), machine=machine)
    assert list(choice.taken) == ["net"]


def test_installed_runtime_has_no_fault_and_an_unknown_format_has() -> None:
    assert engine_fault("onnx") == ""
    assert "no runtime for the format 'wasm'" in engine_fault("wasm")
