import subprocess
import sys
from pathlib import Path

import pytest

from edgesmith.device.sensors import jetson
from edgesmith.device.sensors.source import SensorError
from tests.device.sensors.recordings import NANO, ORIN_NANO, TX2, XAVIER_AGX
from tests.device.sensors.trees import lay


@pytest.mark.parametrize(
    ("line", "watts", "rail", "celsius"),
    [
        (NANO, 0.9, "POM_5V_IN", 40.5),
        (TX2, 2.003, "VDD_IN", 35.0),
        (ORIN_NANO, 17.946, "VDD_IN", 65.562),
        (XAVIER_AGX, 3.113, "GPU+CPU+SOC+CV+VDDRQ+SYS5V", 33.5),
    ],
)
def test_each_board_gives_its_input_rail_or_the_sum(
    line: str, watts: float, rail: str, celsius: float
) -> None:
    assert jetson.parse_power(line) == (pytest.approx(watts), rail)
    assert jetson.parse_temperature(line) == celsius


def test_memory_is_no_rail() -> None:
    assert set(jetson.parse_rails(NANO)) == {"POM_5V_IN", "POM_5V_GPU", "POM_5V_CPU"}


def test_line_that_is_cut_off_gives_no_figure() -> None:
    with pytest.raises(SensorError, match="no power of a rail"):
        jetson.parse_power(ORIN_NANO[: ORIN_NANO.index("VDD_IN") + 9])
    with pytest.raises(SensorError, match="no processor's zone"):
        jetson.parse_temperature(ORIN_NANO[: ORIN_NANO.index("cpu@")])


def test_sleeping_zone_is_no_temperature() -> None:
    with pytest.raises(SensorError, match="-256"):
        jetson.parse_temperature(NANO.replace("CPU@40.5C", "CPU@-256C"))


def _saying(line: str, then: str) -> jetson.Start:
    """A process that says a line as tegrastats does, and goes on as `then`."""
    code = f"import time; print({line!r}, flush=True); {then}"

    def start(command: object) -> "subprocess.Popen[str]":
        return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)

    return start


def test_running_tegrastats_gives_power_and_temperature_and_ends_when_closed() -> None:
    running = jetson.Tegrastats(_saying(ORIN_NANO, "time.sleep(60)"))
    assert running.power().name == "tegrastats VDD_IN"
    assert running.power().read() == 17.946
    assert running.thermometer().read() == 65.562
    running.close()
    assert running._process.returncode is not None


def test_tegrastats_without_rails_has_no_power() -> None:
    running = jetson.Tegrastats(_saying("RAM 1/2MB CPU@40C", "time.sleep(60)"))
    with pytest.raises(SensorError, match="no power of a rail"):
        running.power()
    running.close()


def test_missing_tegrastats_is_said() -> None:
    def start(command: object) -> "subprocess.Popen[str]":
        return subprocess.Popen(["/nowhere/tegrastats"])

    with pytest.raises(SensorError, match="no tegrastats here"):
        jetson.Tegrastats(start)


def test_rails_of_jetpack_4_are_read_by_name(tmp_path: Path) -> None:
    lay(
        tmp_path,
        {
            "rail_name_0": "POM_5V_IN",
            "in_power0_input": "2571",
            "rail_name_1": "POM_5V_GPU",
            "in_power1_input": "81",
        },
        "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0",
    )
    assert jetson.iio_power(tmp_path).read() == pytest.approx(2.571)
