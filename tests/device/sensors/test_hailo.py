"""Up to the boundary of HailoRT: no hailortcli and no device took part."""

import pytest

from edgesmith.device.sensors import hailo
from edgesmith.device.sensors.source import SensorError
from tests.device.sensors.recordings import HAILO_NOW, HAILO_OVER_TIME
from tests.device.sensors.trees import tools


def test_power_of_the_accelerator_is_read() -> None:
    assert hailo.parse(HAILO_NOW) == 1.32837
    assert hailo.parse(HAILO_OVER_TIME) == 1.41573
    assert "processor" in hailo.power(tools({"hailortcli measure-power": HAILO_NOW})).leaves_out


def test_silence_with_status_0_is_no_device_and_not_0_watts() -> None:
    with pytest.raises(SensorError, match="no device"):
        hailo.power(tools({"hailortcli measure-power": ""}))


@pytest.mark.parametrize("text", ["Current power consumption (mA): 12", "Failed power measurement"])
def test_other_output_is_no_power(text: str) -> None:
    with pytest.raises(SensorError, match="no power"):
        hailo.parse(text)
