"""Which sensors this machine has, and why it lacks the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edgesmith.device.sensors import clocks, thermal
from edgesmith.device.sensors.source import Counter, Gauge, SensorError, Watch


@dataclass(frozen=True)
class Sensors:
    """One sensor of each quantity; `absent` says by quantity why there is none.

    `temperature` is that of the processor (°C) and `temperatures` all of them; `clock` is in MHz;
    `power` is a Gauge in W or a Counter in J. `throttling` is empty where nothing tells.
    """

    temperature: Gauge | None = None
    temperatures: tuple[Gauge, ...] = ()
    clock: Gauge | None = None
    governor: str | None = None
    throttling: tuple[Watch, ...] = ()
    power: Gauge | Counter | None = None
    absent: dict[str, str] = field(default_factory=dict)


def find(root: Path = Path("/"), meter: str | None = None) -> Sensors:
    """The sensors of the machine whose file system begins at `root`."""
    absent: dict[str, str] = {}
    temperatures = (*thermal.zones(root), *thermal.chips(root))
    if not temperatures:
        absent["temperature"] = (
            f"no thermal zone in {root / 'sys/class/thermal'}, no processor sensor in "
            f"{root / 'sys/class/hwmon'} (a virtual machine has neither)"
        )
    clock = governor = None
    try:
        clock = clocks.clock(root)
    except SensorError as error:
        absent["clock"] = str(error)
    try:
        governor = clocks.governor(root)
    except SensorError as error:
        absent["governor"] = str(error)
    absent["throttling"] = "no sensor of throttling here"
    absent["power"] = "no sensor of power here"
    return Sensors(
        temperature=temperatures[0] if temperatures else None,
        temperatures=temperatures,
        clock=clock,
        governor=governor,
        absent=absent,
    )
