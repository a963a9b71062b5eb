"""Which sensors this machine has, and why it lacks the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from edgesmith.device.sensors import clocks, hailo, ina, rapl, raspberry, thermal, throttle
from edgesmith.device.sensors.jetson import Tegrastats, iio_power
from edgesmith.device.sensors.meter import Meter
from edgesmith.device.sensors.source import Counter, Gauge, Run, SensorError, Watch, run_command

_Sensor = TypeVar("_Sensor")


@dataclass(frozen=True)
class Sensors:
    """One sensor of each quantity; `absent` says by quantity why there is none.

    `temperature` is that of the processor (°C) and `temperatures` all of them; `clock` is in MHz;
    `power` is a Gauge in W or a Counter in J. `throttling` is empty where nothing tells. A context
    manager: `close` ends what listens (a meter, tegrastats).
    """

    temperature: Gauge | None = None
    temperatures: tuple[Gauge, ...] = ()
    clock: Gauge | None = None
    governor: str | None = None
    throttling: tuple[Watch, ...] = ()
    power: Gauge | Counter | None = None
    absent: dict[str, str] = field(default_factory=dict)
    listening: tuple[Meter | Tegrastats, ...] = ()

    def __enter__(self) -> Sensors:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End what listens; nothing where all sensors are files and tools."""
        for listener in self.listening:
            listener.close()

    def describe(self) -> dict[str, str]:
        """By quantity, which sensor gives it and what that leaves out."""
        names: dict[str, str] = {}
        for quantity, sensor in (
            ("temperature", self.temperature),
            ("clock", self.clock),
            ("power", self.power),
        ):
            if sensor is not None:
                without = f"; leaves out {sensor.leaves_out}" if sensor.leaves_out else ""
                names[quantity] = sensor.name + without
        if self.throttling:
            names["throttling"] = ", ".join(watch.name for watch in self.throttling)
        return names


def find(root: Path = Path("/"), meter: str | None = None, run: Run = run_command) -> Sensors:
    """The sensors of the machine whose file system begins at `root`.

    `meter` is the address of an external one (`meter://host:port`), which then is the power sensor;
    SensorError if it does not answer. `run` runs a tool and gives its output.
    """
    absent: dict[str, str] = {}
    external = Meter(meter) if meter else None
    tegrastats = _tegrastats(root)
    clock = _first(absent, "clock", [lambda: clocks.clock(root)])
    governor = None
    try:
        governor = clocks.governor(root)
    except SensorError as error:
        absent["governor"] = str(error)
    temperatures = _temperatures(absent, root, run, tegrastats)
    throttling = _throttling(absent, root, run)
    return Sensors(
        temperature=temperatures[0] if temperatures else None,
        temperatures=temperatures,
        clock=clock,
        governor=governor,
        throttling=throttling,
        power=external.gauge() if external else _power(absent, root, run, tegrastats),
        absent=absent,
        listening=tuple(listener for listener in (external, tegrastats) if listener),
    )


def _temperatures(
    absent: dict[str, str], root: Path, run: Run, tegrastats: Tegrastats | None
) -> tuple[Gauge, ...]:
    """The kernel's, that of the processor first; a tool's only where the kernel has none."""
    if found := (*thermal.zones(root), *thermal.chips(root)):
        return found
    tries: list[Callable[[], Gauge]] = [
        lambda: raspberry.thermometer(run),
    ]
    if tegrastats:
        tries.append(tegrastats.thermometer)
    tool = _first(absent, "temperature", tries)
    if tool is None:
        absent["temperature"] = (
            f"no thermal zone in {root / 'sys/class/thermal'} and no processor sensor in "
            f"{root / 'sys/class/hwmon'} (a virtual machine has neither); {absent['temperature']}"
        )
    return (tool,) if tool else ()


def _power(
    absent: dict[str, str], root: Path, run: Run, tegrastats: Tegrastats | None
) -> Gauge | Counter | None:
    """What sees most of the machine, first."""
    tries: list[Callable[[], Gauge | Counter]] = [
        lambda: ina.power(root),
        lambda: iio_power(root),
        lambda: raspberry.power(run),
        lambda: rapl.energy(root),
        lambda: hailo.power(run),
    ]
    if tegrastats:
        tries.insert(2, tegrastats.power)
    found = _first(absent, "power", tries)
    if found is None:
        absent["power"] += "; no meter given (--meter meter://host:port)"
    return found


def _throttling(absent: dict[str, str], root: Path, run: Run) -> tuple[Watch, ...]:
    """All that tell: each sees another cause."""
    found: list[Watch] = []
    reasons: list[str] = []
    for look in (
        lambda: raspberry.throttling(root, run),
        lambda: throttle.counters(root),
        lambda: throttle.cooling(root),
        lambda: throttle.policies(root),
    ):
        try:
            found.append(look())
        except SensorError as error:
            reasons.append(str(error))
    if not found:
        absent["throttling"] = "; ".join(reasons)
    return tuple(found)


def _first(
    absent: dict[str, str], quantity: str, tries: list[Callable[[], _Sensor]]
) -> _Sensor | None:
    """The first sensor that works; else every reason goes into `absent`."""
    reasons: list[str] = []
    for look in tries:
        try:
            return look()
        except SensorError as error:
            reasons.append(str(error))
    absent[quantity] = "; ".join(reasons)
    return None


def _tegrastats(root: Path) -> Tegrastats | None:
    """Started only on a Jetson whose rails the kernel does not show: it runs all the time."""
    if not (root / "etc/nv_tegra_release").is_file():
        return None
    for look in (ina.power, iio_power):
        try:
            look(root)
        except SensorError:
            continue
        return None
    try:
        return Tegrastats()
    except SensorError:
        return None
