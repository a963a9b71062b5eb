from pathlib import Path

from edgesmith.device.sensors.find import find
from tests.device.sensors.recordings import HAILO_NOW, ORIN_HWMON, PI5_PMIC, PI_THROTTLED
from tests.device.sensors.trees import cpufreq, lay, no_tools, tools


def test_raspberry_pi_5_measures_all_it_can(tmp_path: Path) -> None:
    lay(tmp_path, {"type": "cpu-thermal", "temp": 48300}, "sys/class/thermal/thermal_zone0")
    said = {"vcgencmd get_throttled": PI_THROTTLED, "vcgencmd pmic_read_adc": PI5_PMIC}
    found = find(cpufreq(tmp_path), run=tools(said))
    assert found.absent == {}
    assert found.governor == "performance"
    names = found.describe()
    assert names["temperature"] == "thermal_zone0 cpu-thermal"
    assert names["power"].startswith("vcgencmd pmic_read_adc; leaves out what the 5 V input")
    assert names["throttling"] == "vcgencmd get_throttled, cpufreq limits"


def test_shunt_on_the_supply_is_preferred_to_the_pmic_and_the_board_to_the_accelerator(
    tmp_path: Path,
) -> None:
    said = {"vcgencmd pmic_read_adc": PI5_PMIC, "hailortcli measure-power": HAILO_NOW}
    found = find(tmp_path, run=tools(said))
    assert found.power is not None and found.power.name == "vcgencmd pmic_read_adc"
    lay(tmp_path, {"name": "ina219", "power1_input": 5000000}, "sys/class/hwmon/hwmon0")
    found = find(tmp_path, run=tools(said))
    assert found.power is not None and found.power.read() == 5.0


def test_orin_measures_by_the_kernel_alone(tmp_path: Path) -> None:
    lay(tmp_path, ORIN_HWMON, "sys/class/hwmon")
    lay(tmp_path, {"type": "cpu-thermal", "temp": 63625}, "sys/class/thermal/thermal_zone0")
    lay(tmp_path, {"etc/nv_tegra_release": "# R36 (release), REVISION: 4.3"})
    found = find(cpufreq(tmp_path, governor="schedutil"), run=no_tools)
    assert found.absent == {} and found.listening == ()
    assert found.power is not None and found.power.name == "hwmon VDD_IN"


def test_every_absence_has_its_reasons(tmp_path: Path) -> None:
    found = find(tmp_path, run=no_tools)
    assert set(found.absent) == {"temperature", "clock", "governor", "throttling", "power"}
    power = found.absent["power"]
    for reason in ("no INA2xx", "no vcgencmd here", "no RAPL", "no hailortcli", "no meter given"):
        assert reason in power
    assert "virtual machine" in found.absent["temperature"]
    assert found.describe() == {}


def test_tool_that_talks_nonsense_is_absent_with_what_it_said(tmp_path: Path) -> None:
    found = find(tmp_path, run=tools({"vcgencmd measure_temp": "VCHI initialization failed"}))
    assert found.temperature is None
    assert "VCHI initialization failed" in found.absent["temperature"]


def test_this_machine_is_looked_at_without_an_error() -> None:
    with find() as found:
        for quantity in ("temperature", "clock", "power"):
            assert (getattr(found, quantity) is None) == (quantity in found.absent)
