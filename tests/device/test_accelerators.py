from collections.abc import Sequence
from pathlib import Path

import pytest

from edgesmith.device import accelerators
from tests.device.boards import (
    CORAL_PCIE,
    CORAL_USB,
    HAILO,
    IDENTIFY_8,
    IDENTIFY_8L,
    ORIN_NANO,
    PI5,
    lay_out,
)


def _silent(command: Sequence[str]) -> str:
    raise AssertionError(f"{command} was started on a machine without the device")


def test_without_an_accelerator_no_vendor_tool_is_started(tmp_path: Path) -> None:
    assert accelerators.identify(lay_out(tmp_path, PI5 | ORIN_NANO), _silent) == {}


@pytest.mark.parametrize(("text", "arch"), [(IDENTIFY_8L, "HAILO8L"), (IDENTIFY_8, "HAILO8")])
def test_a_hailo_has_architecture_firmware_driver_and_link(
    tmp_path: Path, text: str, arch: str
) -> None:
    assert accelerators.identify(lay_out(tmp_path, HAILO), lambda _: text) == {
        "hailo.arch": arch,
        "hailo.firmware": "4.20.0",
        "hailo.driver": "4.20.0",
        "hailo.link": "PCIe 8.0 GT/s x1",
    }


def test_a_hailo_that_nobody_identifies_has_no_architecture(tmp_path: Path) -> None:
    found = accelerators.identify(lay_out(tmp_path, HAILO), lambda _: "")
    assert "hailo.arch" not in found and found["hailo.driver"] == "4.20.0"


def test_identify_without_a_device_prints_nothing_and_proves_nothing() -> None:
    assert accelerators.parse_identify("") == {}
    assert accelerators.parse_identify("Executing on device: 0000:01:00.0\n") == {}


def test_serial_numbers_are_not_part_of_what_is_found() -> None:
    assert "HLDDLBB243201979" not in str(accelerators.parse_identify(IDENTIFY_8L))


def test_an_edge_tpu_is_the_same_before_and_after_its_firmware_is_loaded(tmp_path: Path) -> None:
    used = accelerators.identify(lay_out(tmp_path, CORAL_USB), _silent)
    assert used == {"coral.link": "USB 5000 Mbit/s", "coral.runtime": "libedgetpu1-std 16.0"}
    usb = tmp_path / "sys/bus/usb/devices/2-1"
    (usb / "idVendor").write_text("1a6e\n")
    (usb / "idProduct").write_text("089a\n")
    assert accelerators.identify(tmp_path, _silent) == used


def test_an_edge_tpu_on_pcie_has_the_driver_apex(tmp_path: Path) -> None:
    found = accelerators.identify(lay_out(tmp_path, CORAL_PCIE), _silent)
    assert found == {"coral.link": "PCIe 5.0 GT/s x1", "coral.driver": "1.2"}


def test_gpu_of_a_workstation() -> None:
    text = "NVIDIA RTX A2000, 550.54.14, 8.6, 6138 MiB, 70.00 W\n"
    assert accelerators.parse_gpus(text) == {
        "gpu.name": "NVIDIA RTX A2000",
        "gpu.driver": "550.54.14",
        "gpu.compute": "8.6",
        "gpu.memory": "6138 MiB",
        "gpu.power_limit": "70.00 W",
    }
    assert accelerators.parse_gpus(text * 2)["gpu.count"] == "2"


def test_what_an_integrated_gpu_does_not_know_is_absent() -> None:
    found = accelerators.parse_gpus("Orin (nvgpu), 540.4.0, 8.7, [N/A], [N/A]\n")
    assert found.keys() == {"gpu.name", "gpu.driver", "gpu.compute"}
    assert accelerators.parse_gpus("No devices were found\n") == {}


def test_a_command_that_is_missing_or_fails_says_nothing() -> None:
    assert accelerators.ask(["no-such-command-of-a-vendor"]) == ""
    assert accelerators.ask(["false"]) == ""
    assert accelerators.ask(["echo", "yes"]) == "yes\n"
