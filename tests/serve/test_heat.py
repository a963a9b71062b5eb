"""Temperature to relief, with a thermometer that the test holds."""

import json
import time
from pathlib import Path

import pytest

from edgesmith.device.sensors.find import Sensors
from edgesmith.device.sensors.source import Gauge, SensorError
from edgesmith.errors import ParamsError
from edgesmith.serve.heat import Heat, Relief, governor
from edgesmith.serve.settings import Settings, Source
from tests.artifacts import make_artifact
from tests.serve.running import Running, wait_until


def _settings(*smaller: Path, artifact: Path = Path("a")) -> Settings:
    return Settings(artifact=artifact, smaller=smaller, source=Source(kind="synthetic"))


def _smaller(folder: Path, variant: str, macs: int) -> Path:
    """An artifact that claims so many multiplications; the others have 9."""
    made = make_artifact(folder / "artifacts" / variant / "onnx", variant=variant)
    contract = json.loads((made / "contract.json").read_text())
    (made / "contract.json").write_text(json.dumps({**contract, "macs": macs}))
    return made


def test_cool_device_runs_at_full_speed() -> None:
    assert governor(_settings())(60.0, 0) == Relief()


def test_hot_device_skips_and_a_critical_one_stops() -> None:
    govern = governor(_settings())
    hot = govern(80.0, 0)
    assert hot.skip > 1 and not hot.pause and "as seldom" in hot.words
    assert govern(91.0, 1).pause


def test_smaller_artifact_takes_over_when_skipping_is_not_enough(
    artifact: Path, tmp_path: Path
) -> None:
    small = _smaller(tmp_path, "small", 3)
    govern = governor(_settings(small, artifact=artifact))
    assert govern(78.0, 0).artifact == ""
    assert govern(85.0, 1).artifact == str(small)


def test_artifact_that_is_not_smaller_cools_nothing(artifact: Path, tmp_path: Path) -> None:
    other = make_artifact(tmp_path / "other")
    with pytest.raises(ParamsError, match="costs 1 of a full detection"):
        governor(_settings(other, artifact=artifact))


def test_hottest_zone_counts_and_one_that_sleeps_does_not() -> None:
    def asleep() -> float:
        raise SensorError("asleep")

    zones = (Gauge("cpu", lambda: 61.0), Gauge("gpu", asleep), Gauge("npu", lambda: 77.0))
    heat = Heat(Sensors(temperatures=zones), lambda celsius, now: Relief(words=f"{celsius}"))
    wait_until(lambda: heat.now[0] is not None)
    heat.close()
    assert heat.now == (77.0, Relief(words="77.0")) and heat.highest_c == 77.0


def test_sensor_that_hangs_holds_up_nobody() -> None:
    heat = Heat(Sensors(temperatures=(Gauge("tool", lambda: time.sleep(4) or 50.0),)), None)
    time.sleep(1.2)
    begin = time.monotonic()
    assert heat.now == (None, Relief())
    heat.close()
    assert time.monotonic() - begin < 3


@pytest.mark.slow
def test_loop_slows_down_changes_its_artifact_and_stops_to_cool(
    artifact: Path, tmp_path: Path
) -> None:
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("cpu-thermal\n")
    small = _smaller(tmp_path, "small", 3)

    def heat(celsius: float) -> None:
        (zone / "temp").write_text(f"{1000 * celsius:.0f}\n")

    heat(50)
    options = ("--source", "synthetic", "--root", str(tmp_path), "--smaller", str(small))
    with Running(artifact, tmp_path, *options) as running:
        running.wait_for_frames(5)
        assert running.artifacts() == {"tiny/onnx"}
        heat(86)
        wait_until(lambda: "small/onnx" in running.artifacts())
        running.wait_for_words("20 % of full speed at 86.0 °C")
        heat(93)
        running.wait_for_words("state: cooling")
        time.sleep(0.5)
        frames = len(running.indices())
        time.sleep(1)
        assert len(running.indices()) == frames
        heat(60)
        running.wait_for_frames(5)
        summary = running.stop()
    assert summary["temperature_c_max"] == 93
    assert not any(summary["restarts"].values())
