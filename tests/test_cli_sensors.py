import json
from pathlib import Path

from typer.testing import CliRunner

from edgesmith.cli import app
from tests.device.sensors.trees import cpufreq, lay


def _run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["sensors", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_values_sensors_and_reasons_are_shown(tmp_path: Path) -> None:
    lay(tmp_path, {"type": "cpu-thermal", "temp": 48300}, "sys/class/thermal/thermal_zone0")
    cpufreq(tmp_path, current=1500000, allowed=1500000)
    text = _run("--root", tmp_path)
    assert "48.3 °C (thermal_zone0 cpu-thermal)" in text
    assert "1500 MHz (cpufreq scaling_cur_freq)" in text
    assert "clock capped at 1500 of 2400 MHz (cpufreq limits)" in text
    assert "no power" in text and "no meter given" in text


def test_json_has_null_for_what_is_absent(tmp_path: Path) -> None:
    content = json.loads(_run("--root", cpufreq(tmp_path), "--json"))
    assert content["now"]["clock_mhz"] == 2400 and content["now"]["temperature_c"] is None
    assert content["now"]["governor"] == "performance"
    assert content["absent"]["temperature"] and "clock" not in content["absent"]


def test_faulty_address_of_a_meter_is_explained() -> None:
    result = CliRunner().invoke(app, ["sensors", "--meter", "http://here"])
    assert result.exit_code == 1 and "write meter://host:port" in result.stderr
