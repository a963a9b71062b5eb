"""What of fan and clock stands beside a temperature in the log."""

from __future__ import annotations

from pathlib import Path

from edgesmith.device.sensors import clocks
from edgesmith.device.sensors.source import SensorError, in_order, label, read_number

# A cooling device of the kernel that is a fan, by its type (Raspberry Pi 5: pwm-fan).
_FAN = "fan"


def facts(root: Path = Path("/")) -> str:
    """Clock, its governor and fans in words, such as `1500 MHz (ondemand), fan 2 of 4, 3120 RPM`.

    What cannot be read is named with its reason: a log without a fan must not look like a log of a
    fan at rest.
    """
    return ", ".join([_clock(root), _fan(root)])


def _clock(root: Path) -> str:
    try:
        words = f"{clocks.clock(root).read():.0f} MHz"
    except SensorError as error:
        return f"no clock: {error}"
    try:
        return f"{words} ({clocks.governor(root)})"
    except SensorError:
        return words


def _fan(root: Path) -> str:
    words = []
    for folder in in_order(list((root / "sys/class/thermal").glob("cooling_device*"))):
        if _FAN in label(folder / "type").lower():
            words += _state(folder)
    for path in in_order(list((root / "sys/class/hwmon").glob("hwmon*/fan*_input"))):
        try:
            words.append(f"{read_number(path):.0f} RPM")
        except SensorError as error:
            words.append(f"no RPM: {error}")
    return (
        ", ".join(words) or f"no fan in {root / 'sys/class/thermal'} or {root / 'sys/class/hwmon'}"
    )


def _state(folder: Path) -> list[str]:
    try:
        now, most = (read_number(folder / name) for name in ("cur_state", "max_state"))
    except SensorError as error:
        return [f"no state of the fan: {error}"]
    return [f"fan {now:.0f} of {most:.0f}"]
