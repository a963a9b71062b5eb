"""Fan and clock beside a temperature."""

from pathlib import Path

from edgesmith.serve.governor.facts import facts


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def test_raspberry_pi_5_with_its_cooler(tmp_path: Path) -> None:
    cpu = tmp_path / "sys/devices/system/cpu/cpu0/cpufreq"
    write(cpu / "scaling_cur_freq", "1500000")
    write(cpu / "scaling_governor", "ondemand")
    fan = tmp_path / "sys/class/thermal/cooling_device0"
    write(fan / "type", "pwm-fan")
    write(fan / "cur_state", "2")
    write(fan / "max_state", "4")
    write(tmp_path / "sys/class/hwmon/hwmon2/fan1_input", "3120")
    assert facts(tmp_path) == "1500 MHz (ondemand), fan 2 of 4, 3120 RPM"


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    words = facts(tmp_path)
    assert "no clock: " in words and "no fan in " in words


def test_cooling_by_the_clock_is_no_fan(tmp_path: Path) -> None:
    write(tmp_path / "sys/class/thermal/cooling_device0/type", "cpufreq-cpu0")
    assert "no fan in " in facts(tmp_path)
