from pathlib import Path

import pytest

from edgesmith.device import settings
from edgesmith.device.sensors.source import SensorError
from tests.device import boards
from tests.device.boards import lay_out
from tests.device.sensors.trees import cpufreq, no_tools, tools


def _found(root: Path, throttled: str = "", identify: str = "") -> dict[str, settings.Setting]:
    run = tools({"vcgencmd get_throttled": throttled}) if throttled else no_tools
    found = settings.examine(root, run, lambda command: identify)
    return {setting.name: setting for setting in found}


@pytest.fixture
def pi(tmp_path: Path) -> Path:
    return lay_out(tmp_path, boards.PI5)


def _supply(root: Path, content: bytes) -> Path:
    path = root / "proc/device-tree/chosen/power/max_current"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return root


def test_machine_that_shows_nothing_has_no_rows(tmp_path: Path) -> None:
    assert settings.examine(tmp_path, no_tools, lambda command: "") == []


def test_governor_other_than_performance_comes_with_the_command(tmp_path: Path) -> None:
    found = _found(cpufreq(tmp_path, governor="ondemand"))["governor"]
    assert found.words.startswith("look: ondemand; echo performance | sudo tee /sys/")
    assert _found(cpufreq(tmp_path))["governor"].words == "good: performance"


def test_clock_below_what_the_cores_have_is_seen(tmp_path: Path) -> None:
    found = _found(cpufreq(tmp_path, allowed=1500000))["clock limit"]
    assert found.value == "1500 of 2400 MHz" and found.remedy
    assert not _found(cpufreq(tmp_path))["clock limit"].remedy


@pytest.mark.parametrize(
    ("said", "value", "remedy"),
    [
        ("throttled=0x0\n", "none since boot", ""),
        ("throttled=0x50000\n", "since boot under-voltage, throttled by the firmware", "supply"),
        ("throttled=0x50005\n", "now under-voltage, throttled by the firmware", "supply"),
        ("throttled=0xe0008\n", "now soft temperature limit", "cool the board"),
    ],
)
def test_flags_of_a_pi_name_supply_or_heat(pi: Path, said: str, value: str, remedy: str) -> None:
    found = _found(pi, said)["throttling"]
    assert found.value == value
    assert remedy in found.remedy and bool(found.remedy) == bool(remedy)


def test_flags_are_read_from_the_kernel_where_vcgencmd_is_missing(pi: Path) -> None:
    name = "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"
    lay_out(pi, {name: "50000\n"})
    assert _found(pi)["throttling"].value.startswith("since boot under-voltage")


def test_flags_that_are_none_are_no_row(pi: Path) -> None:
    assert "throttling" not in _found(pi, "VCHI initialization failed\n")


def test_supply_of_a_pi_5_is_what_the_firmware_agreed_on(pi: Path) -> None:
    # Bytes of the property: 0x00001388 is 5000.
    found = _found(_supply(pi, bytes.fromhex("00001388")))["supply"]
    assert found == settings.Setting("supply", "5000 mA agreed with it")
    assert settings.parse_supply(bytes.fromhex("00000bb8")) == 3000


def test_weak_supply_is_told(pi: Path) -> None:
    assert "5 A" in _found(_supply(pi, bytes.fromhex("00000bb8")))["supply"].remedy


def test_pi_without_a_fan_is_told(pi: Path) -> None:
    assert _found(pi)["fan"].remedy
    lay_out(pi, {"sys/class/thermal/cooling_device0/type": "pwm-fan\n"})
    assert not _found(pi)["fan"].remedy


def test_board_of_another_name_is_not_asked_for_a_fan(tmp_path: Path) -> None:
    lay_out(tmp_path, {"proc/device-tree/model": "Raspberry Pi 500 Rev 1.0\0"})
    assert "fan" not in _found(tmp_path)


def test_link_below_the_chip_s_own_speed_is_mended_in_config_txt(tmp_path: Path) -> None:
    device = "sys/bus/pci/devices/0001:01:00.0"
    lay_out(tmp_path, boards.HAILO | {f"{device}/max_link_speed": "8.0 GT/s PCIe\n"})
    assert _found(tmp_path)["PCIe of Hailo"].words == "good: 8 of 8 GT/s"
    lay_out(tmp_path, {f"{device}/current_link_speed": "5.0 GT/s PCIe\n"})
    slow = _found(tmp_path)["PCIe of Hailo"]
    assert slow.value == "5 of 8 GT/s" and "pciex1_gen=3" in slow.remedy


def test_link_that_the_kernel_does_not_know_is_no_row(tmp_path: Path) -> None:
    device = "sys/bus/pci/devices/0001:01:00.0"
    lay_out(tmp_path, boards.HAILO | {f"{device}/max_link_speed": "Unknown\n"})
    assert "PCIe of Hailo" not in _found(tmp_path)
    with pytest.raises(SensorError, match="GT/s"):
        settings.parse_speed("Unknown")


def test_driver_and_firmware_of_hailo_must_be_of_one_release(tmp_path: Path) -> None:
    lay_out(tmp_path, boards.HAILO)
    same = _found(tmp_path, identify=boards.IDENTIFY_8L)["HailoRT"]
    assert same.words == "good: driver 4.20.0, firmware 4.20.0"
    lay_out(tmp_path, {"sys/module/hailo_pci/version": "4.19.0\n"})
    assert "one release" in _found(tmp_path, identify=boards.IDENTIFY_8L)["HailoRT"].remedy


def test_power_mode_of_a_jetson_that_is_not_the_highest_is_told(tmp_path: Path) -> None:
    lay_out(tmp_path, boards.ORIN_NANO)
    assert _found(tmp_path)["nvpmodel"].words == "good: 2 MAXN_SUPER"
    lay_out(tmp_path, {"var/lib/nvpmodel/status": "pmode:0000\n"})
    assert _found(tmp_path)["nvpmodel"].value == "0 15W" and _found(tmp_path)["nvpmodel"].remedy


def test_clocks_of_a_jetson_are_held_where_the_least_is_the_highest(tmp_path: Path) -> None:
    cpu, gpu = "sys/devices/system/cpu/cpu0/cpufreq", "sys/class/devfreq/17000000.gpu"
    least = {f"{cpu}/scaling_min_freq": "1728000", f"{gpu}/min_freq": "1020000000"}
    most = {f"{cpu}/scaling_max_freq": "1728000", f"{gpu}/max_freq": "1020000000"}
    lay_out(tmp_path, boards.ORIN_NANO | least | most)
    assert not _found(tmp_path)["jetson_clocks"].remedy
    lay_out(tmp_path, {f"{gpu}/min_freq": "306000000"})
    assert _found(tmp_path)["jetson_clocks"].remedy == "sudo jetson_clocks"


def test_edge_tpu_on_a_slow_port_is_told(tmp_path: Path) -> None:
    lay_out(tmp_path, boards.CORAL_USB)
    assert not _found(tmp_path)["USB of Edge TPU"].remedy
    lay_out(tmp_path, {"sys/bus/usb/devices/2-1/speed": "480\n"})
    assert "USB 3" in _found(tmp_path)["USB of Edge TPU"].remedy
