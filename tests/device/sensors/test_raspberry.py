import itertools

import pytest

from edgesmith.device.sensors import raspberry
from edgesmith.device.sensors.source import SensorError
from tests.device.sensors.recordings import PI5_PMIC, PI_TEMPERATURE, PI_THROTTLED
from tests.device.sensors.trees import lay, no_tools, tools


def test_pmic_power_is_the_sum_of_current_times_voltage_of_each_rail() -> None:
    # By hand: 3V7 0.00724 + 3V3 0.41578 + 1V8 0.41933 + 1V1 0.20836 + 0V8 0.24560 + core 0.66714
    # + AON 0.00249 + HDMI 0.00188; the 5 V input and the battery have no current.
    assert raspberry.parse_pmic(PI5_PMIC) == pytest.approx(1.96782, abs=1e-4)


def test_pmic_output_that_is_cut_off_gives_no_power() -> None:
    cut = PI5_PMIC[: PI5_PMIC.index("   3V3_DAC_V")]
    with pytest.raises(SensorError, match="no voltage of 0V8_AON, 3V3_ADC, 3V3_DAC, HDMI"):
        raspberry.parse_pmic(cut)


@pytest.mark.parametrize("text", ["", "error=1 error_msg=\"Command not registered\"\n"])
def test_board_without_pmic_gives_no_power(text: str) -> None:
    with pytest.raises(SensorError, match="only a Raspberry Pi 5"):
        raspberry.parse_pmic(text)


def test_pmic_says_what_it_does_not_see() -> None:
    gauge = raspberry.power(tools({"vcgencmd pmic_read_adc": PI5_PMIC}))
    assert "USB" in gauge.leaves_out and "underestimate" in gauge.leaves_out


def test_temperature_of_the_firmware() -> None:
    assert raspberry.parse_temperature(PI_TEMPERATURE) == 42.8
    for text in ("", "temp=", "temp=999.0'C", "VCHI initialization failed"):
        with pytest.raises(SensorError):
            raspberry.parse_temperature(text)


def test_flags_are_read_from_vcgencmd_and_from_the_kernel() -> None:
    assert raspberry.parse_throttled(PI_THROTTLED) == 0x50000
    assert raspberry.parse_throttled("50000") == 0x50000
    assert raspberry.since_boot(0x50000) == ("under-voltage", "throttled by the firmware")
    for text in ("", "throttled=", "throttled=0xZZ", "command not registered"):
        with pytest.raises(SensorError):
            raspberry.parse_throttled(text)


def test_what_was_so_before_the_first_look_does_not_count_and_what_came_between_looks_does() -> None:
    said = itertools.chain(["0x50000", "0x50000", "0xd0008", "0xf0000", "0xf0000"])
    flags = raspberry.Flags(lambda: next(said))
    assert flags.read() == ()
    assert flags.read() == ()
    assert flags.read() == ("soft temperature limit",)
    assert flags.read() == ("clock capped by the firmware",)  # came and went
    assert flags.read() == ()


def test_kernel_file_is_preferred_to_the_tool(tmp_path) -> None:
    lay(tmp_path, {"get_throttled": "5"}, "sys/devices/platform/soc/soc:firmware")
    watch = raspberry.throttling(tmp_path, no_tools)
    assert watch.read() == ("under-voltage", "throttled by the firmware")
