"""Thermal zones, hwmon, cpufreq, powercap and event counters, on trees as the kernel lays them.

Formats: docs.kernel.org, "Thermal", "hwmon/sysfs-interface", "CPU Performance Scaling", "Power
Capping Framework"; zone names of a Raspberry Pi 5 (cpu-thermal), an Orin (cpu-thermal, cv0-thermal
asleep) and an x86 board (acpitz, x86_pkg_temp).
"""

import os
from pathlib import Path

import pytest

from edgesmith.device.sensors import clocks, ina, rapl, source, thermal, throttle
from edgesmith.device.sensors.source import SensorError
from tests.device.sensors.recordings import ORIN_HWMON
from tests.device.sensors.trees import CPU, cpufreq, lay


def _zones(root: Path, **zones: object) -> Path:
    for number, (kind, temperature) in enumerate(zones.items()):
        lay(
            root,
            {"type": kind.replace("__", "-"), "temp": temperature},
            f"sys/class/thermal/thermal_zone{number}",
        )
    return root


def test_zone_of_the_processor_comes_first_whatever_its_number(tmp_path: Path) -> None:
    found = thermal.zones(_zones(tmp_path, acpitz=27800, pch=51000, x86_pkg_temp=63000))
    assert [gauge.name for gauge in found] == [
        "thermal_zone2 x86_pkg_temp",
        "thermal_zone0 acpitz",
        "thermal_zone1 pch",
    ]
    assert found[0].read() == 63.0


def test_zone_that_sleeps_or_says_nonsense_is_left_out(tmp_path: Path) -> None:
    _zones(tmp_path, cv0__thermal=-256000, gpu__thermal="", cpu__thermal=63625)
    assert [gauge.name for gauge in thermal.zones(tmp_path)] == ["thermal_zone2 cpu-thermal"]


def test_zone_that_falls_silent_gives_a_reason_and_no_figure(tmp_path: Path) -> None:
    gauge = thermal.zones(_zones(tmp_path, cpu__thermal=50000))[0]
    (tmp_path / "sys/class/thermal/thermal_zone0/temp").unlink()
    with pytest.raises(SensorError, match="no such file"):
        gauge.read()


def test_package_of_a_processor_comes_before_its_cores(tmp_path: Path) -> None:
    lay(
        tmp_path,
        {
            "hwmon0/name": "nvme",
            "hwmon0/temp1_input": "39850",
            "hwmon2/name": "coretemp",
            "hwmon2/temp2_label": "Core 0",
            "hwmon2/temp2_input": "44000",
            "hwmon2/temp1_label": "Package id 0",
            "hwmon2/temp1_input": "47000",
        },
        "sys/class/hwmon",
    )
    names = [gauge.name for gauge in thermal.chips(tmp_path)]
    assert names == ["hwmon coretemp Package id 0", "hwmon coretemp Core 0"]


def test_clock_is_the_mean_of_the_cores_that_are_on(tmp_path: Path) -> None:
    cpufreq(tmp_path, current=2400000)
    lay(tmp_path, {"scaling_cur_freq": 1500000}, f"{CPU}/cpu1/cpufreq")
    gauge = clocks.clock(tmp_path)
    assert gauge.read() == 1950
    (tmp_path / CPU / "cpu1/cpufreq/scaling_cur_freq").write_text("<unknown>\n")
    assert gauge.read() == 2400
    assert clocks.governor(tmp_path) == "performance"


def test_virtual_machine_gives_its_clock_with_a_caution_and_no_governor(tmp_path: Path) -> None:
    lay(tmp_path, {"cpuinfo": "processor\t: 0\ncpu MHz\t\t: 2596.144"}, "proc")
    gauge = clocks.clock(tmp_path)
    assert gauge.read() == 2596.144 and "constant" in gauge.leaves_out
    with pytest.raises(SensorError, match="no cpufreq"):
        clocks.governor(tmp_path)


def test_machine_without_a_clock_says_so(tmp_path: Path) -> None:
    with pytest.raises(SensorError, match="no cpufreq in .* and no MHz in"):
        clocks.clock(tmp_path)


def test_capped_policy_is_throttling_and_full_speed_is_not(tmp_path: Path) -> None:
    watch = throttle.policies(cpufreq(tmp_path))
    assert watch.read() == ()
    cpufreq(tmp_path, allowed=1500000)
    assert watch.read() == ("clock capped at 1500 of 2400 MHz",)


def test_low_clock_counts_under_performance_alone(tmp_path: Path) -> None:
    watch = throttle.policies(cpufreq(tmp_path, current=1800000))
    assert watch.read() == ("clock below its maximum under governor performance",)
    cpufreq(tmp_path, current=600000, governor="ondemand")
    assert watch.read() == ()


def test_low_clock_of_a_processor_that_boosts_is_no_throttling(tmp_path: Path) -> None:
    lay(tmp_path, {"boost": 1}, f"{CPU}/cpufreq")
    assert throttle.policies(cpufreq(tmp_path, current=1800000)).read() == ()


def test_counters_tell_what_happened_since_the_last_look(tmp_path: Path) -> None:
    lay(tmp_path, ORIN_HWMON, "sys/class/hwmon")
    lay(tmp_path, {"package_throttle_count": 7}, f"{CPU}/cpu0/thermal_throttle")
    watch = throttle.counters(tmp_path)
    assert watch.read() == ()
    lay(tmp_path, {"hwmon3/oc3_event_cnt": 27391}, "sys/class/hwmon")
    assert watch.read() == ("instantaneous over-current",)
    lay(tmp_path, {"package_throttle_count": 8}, f"{CPU}/cpu0/thermal_throttle")
    assert watch.read() == ("thermal throttling",)
    assert watch.read() == ()


def test_working_cooling_device_of_the_processor_is_throttling_and_a_fan_is_not(
    tmp_path: Path,
) -> None:
    lay(
        tmp_path,
        {
            "cooling_device0/type": "pwm-fan",
            "cooling_device0/cur_state": 3,
            "cooling_device1/type": "cpufreq-cpu0",
            "cooling_device1/cur_state": 0,
        },
        "sys/class/thermal",
    )
    watch = throttle.cooling(tmp_path)
    assert watch.read() == ()
    lay(tmp_path, {"cooling_device1/cur_state": 4}, "sys/class/thermal")
    assert watch.read() == ("slowed by the kernel (cpufreq-cpu0)",)


def test_input_rail_of_an_orin_is_its_power(tmp_path: Path) -> None:
    gauge = ina.power(lay(tmp_path, ORIN_HWMON, "sys/class/hwmon"))
    assert gauge.name == "hwmon VDD_IN"
    assert gauge.read() == pytest.approx(4.984 * 1.856)


def test_shunt_that_gives_power_is_read_in_microwatts(tmp_path: Path) -> None:
    lay(
        tmp_path,
        {
            "hwmon0/name": "ina219",
            "hwmon0/in0_input": "12",
            "hwmon0/in1_input": "5064",
            "hwmon0/curr1_input": "703",
            "hwmon0/power1_input": "3560000",
        },
        "sys/class/hwmon",
    )
    gauge = ina.power(tmp_path)
    assert gauge.read() == 3.56 and "wired" in gauge.leaves_out


def test_rails_without_an_input_are_added(tmp_path: Path) -> None:
    tree = {key: text for key, text in ORIN_HWMON.items() if "1_" not in key}
    gauge = ina.power(lay(tmp_path, tree, "sys/class/hwmon"))
    assert gauge.name == "hwmon VDD_CPU_GPU_CV+VDD_SOC" and "twice" in gauge.leaves_out
    assert gauge.read() == pytest.approx(4.984 * 0.184 + 4.976 * 0.352)


def _package(root: Path, energy: object, number: int = 0) -> Path:
    return lay(
        root,
        {
            "name": f"package-{number}",
            "energy_uj": energy,
            "max_energy_range_uj": 262143328850,
        },
        f"sys/class/powercap/intel-rapl:{number}",
    )


def test_energy_counter_goes_on_when_it_begins_anew(tmp_path: Path) -> None:
    counter = rapl.energy(_package(tmp_path, 262143000000))
    assert counter.read() == 0
    _package(tmp_path, 671150)
    assert counter.read() == pytest.approx(1.0)
    _package(tmp_path, 2671150)
    assert counter.read() == pytest.approx(3.0)


def test_packages_are_added_and_their_parts_are_not(tmp_path: Path) -> None:
    _package(tmp_path, 0, 0)
    _package(tmp_path, 0, 1)
    lay(tmp_path, {"name": "core", "energy_uj": 5}, "sys/class/powercap/intel-rapl:0:0")
    counter = rapl.energy(tmp_path)
    assert counter.name == "RAPL package-0+package-1"
    _package(tmp_path, 1000000, 0)
    _package(tmp_path, 2000000, 1)
    assert counter.read() == pytest.approx(3.0)


def test_counter_that_may_not_be_read_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _package(tmp_path, 1)
    path = tmp_path / "sys/class/powercap/intel-rapl:0/energy_uj"
    path.chmod(0)
    if os.geteuid() == 0:  # root reads anything: let the kernel's refusal come from here
        read = Path.read_text

        def refuse(self: Path, *args: object, **kwargs: object) -> str:
            if self == path:
                raise PermissionError(13, "Permission denied")
            return read(self, *args, **kwargs)

        monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(SensorError, match=r"permission denied; run as root or `sudo chmod a\+r "):
        rapl.energy(tmp_path)


def test_tool_that_is_missing_fails_or_hangs_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SensorError, match="no vcgencmd-of-nowhere here"):
        source.run_command(["vcgencmd-of-nowhere"])
    with pytest.raises(SensorError, match="status 3: Can't open device file"):
        source.run_command(["sh", "-c", "echo \"Can't open device file: /dev/vcio\" >&2; exit 3"])
    monkeypatch.setattr(source, "_PATIENCE_SECONDS", 0.05)
    with pytest.raises(SensorError, match=r"gave nothing in 0\.05 s"):
        source.run_command(["sleep", "5"])
