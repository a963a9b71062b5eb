"""Current shunts that the kernel shows by hwmon: INA2xx and INA3221.

Units of hwmon (docs.kernel.org/hwmon/sysfs-interface): mV, mA, µW. An INA2xx has its bus voltage as
`in1` and gives `power1_input`; an INA3221 (Jetson's rails, too) has `in1…in3` with `curr1…curr3`
and no power, and its further inputs are voltages over the shunts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from edgesmith.device.sensors.rails import INPUTS, SUM_LEAVES_OUT, rails_total
from edgesmith.device.sensors.source import Gauge, SensorError, in_order, label, read_number

_CHANNELS = (1, 2, 3)


def power(root: Path) -> Gauge:
    """The board's input rail, else all measured rails together; SensorError without any."""
    rails = _rails(root)
    if not rails:
        raise SensorError(f"no INA2xx or INA3221 in {root / 'sys/class/hwmon'}")

    def watts() -> Mapping[str, float]:
        return {rail: read() for rail, read in rails.items()}

    _, which = rails_total(watts(), "hwmon")
    if which in INPUTS:
        leaves_out = "what the carrier board draws before this rail"
    elif len(rails) > 1:
        leaves_out = SUM_LEAVES_OUT
    else:
        leaves_out = "what is not wired through this shunt"
    return Gauge(f"hwmon {which}", lambda: rails_total(watts(), "hwmon")[0], leaves_out)


def _rails(root: Path) -> dict[str, Callable[[], float]]:
    found: dict[str, Callable[[], float]] = {}
    for folder in in_order(list((root / "sys/class/hwmon").glob("hwmon*"))):
        chip = label(folder / "name")
        if not chip.startswith("ina"):
            continue
        for channel in _CHANNELS:
            # Channels that are not wired have no current (or an error in place of one).
            if (read := _reader(folder, channel)) is None:
                continue
            name = label(folder / f"power{channel}_label") or label(folder / f"in{channel}_label")
            found[name or f"{folder.name} {chip} channel {channel}"] = read
    return found


def _reader(folder: Path, channel: int) -> Callable[[], float] | None:
    power_uw = folder / f"power{channel}_input"
    volts, amperes = folder / f"in{channel}_input", folder / f"curr{channel}_input"

    def product() -> float:
        return read_number(volts) * read_number(amperes) / 1e6

    def direct() -> float:
        return read_number(power_uw) / 1e6

    read = direct if power_uw.is_file() else product
    try:
        read()
    except SensorError:
        return None
    return read
