"""Jetson: rails and temperatures by `tegrastats`, rails of JetPack 4 by IIO, over-current events.

Formats: NVIDIA's Jetson Linux Developer Guide, "tegrastats Utility" and "Jetson … Power and
Performance" (INA3221 nodes, oc*_event_cnt). Newer boards show their rails by hwmon: `ina.py`.
"""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from edgesmith.device.sensors.latest import Latest
from edgesmith.device.sensors.rails import rails_total
from edgesmith.device.sensors.source import Gauge, SensorError, in_order, read_number, read_text
from edgesmith.device.sensors.thermal import celsius

_COMMAND = ("tegrastats", "--interval", "200")
_FIRST_SECONDS = 3.0
_MAX_AGE_SECONDS = 2.0
_RAIL = re.compile(r"(?<=\s)([A-Z][A-Z0-9_]*) (\d+)(?:mW/\d+mW|/\d+|mW)(?=\s|$)")
_ZONE = re.compile(r"(?<=\s)(\w+)@(-?\d+(?:\.\d+)?)C(?=\s|$)")
# Zones that follow the processor, best first.
_ZONES = ("cpu", "bcpu", "mcpu", "tj", "thermal")

# Starts a command that goes on, and gives its standard output line by line.
Start = Callable[[Sequence[str]], "subprocess.Popen[str]"]


def parse_rails(line: str) -> dict[str, float]:
    """Watts by rail of one line of tegrastats (the figure of the moment, not its average)."""
    return {name: int(milliwatts) / 1000 for name, milliwatts in _RAIL.findall(line)}


def parse_power(line: str) -> tuple[float, str]:
    """Watts of the input rail, else of all rails together, and which; SensorError without any."""
    return rails_total(parse_rails(line), "tegrastats")


def parse_temperature(line: str) -> float:
    """°C of the processor's zone of one line of tegrastats."""
    zones = {name.lower(): float(value) for name, value in _ZONE.findall(line)}
    for name in _ZONES:
        if name in zones:
            return celsius(zones[name], f"tegrastats {name}")
    raise SensorError(f"tegrastats: no processor's zone in {line.strip()[:60]!r}")


def iio_power(root: Path) -> Gauge:
    """The rails that JetPack 4's ina3221x driver shows, mW by rail name."""
    named = {
        read_text(path): path.with_name(f"in_power{path.name.rsplit('_', 1)[1]}_input")
        for path in in_order(
            list(root.glob("sys/bus/i2c/drivers/ina3221x/*/iio:device*/rail_name_*"))
        )
    }
    named = {rail: path for rail, path in named.items() if path.is_file()}
    if not named:
        raise SensorError(f"no rail in {root / 'sys/bus/i2c/drivers/ina3221x'}")

    def watts() -> Mapping[str, float]:
        return {rail: read_number(path) / 1000 for rail, path in named.items()}

    _, which = rails_total(watts(), "ina3221x")
    return Gauge(f"ina3221x {which}", lambda: rails_total(watts(), "ina3221x")[0])


class Tegrastats:
    """A running `tegrastats`, the newest line of which gives temperature and power."""

    def __init__(self, start: Start | None = None) -> None:
        """Start it and wait for its first line; SensorError where it is not here or is silent."""
        self._power, self._heat = Latest(_MAX_AGE_SECONDS), Latest(_MAX_AGE_SECONDS)
        self.rail = ""
        try:
            self._process = (start or _start)(_COMMAND)
        except OSError as error:
            raise SensorError(f"no tegrastats here ({(error.strerror or '').lower()})") from error
        self._thread = threading.Thread(target=self._listen, name="tegrastats", daemon=True)
        self._thread.start()
        self._power.wait(_FIRST_SECONDS)

    def power(self) -> Gauge:
        """The board's input rail, or all rails together; SensorError where the line has none."""
        self._power.get("tegrastats")
        return Gauge(f"tegrastats {self.rail}", lambda: self._power.get("tegrastats"))

    def thermometer(self) -> Gauge:
        """The processor's zone; SensorError where the line has none."""
        self._heat.get("tegrastats")
        return Gauge("tegrastats processor zone", lambda: self._heat.get("tegrastats"))

    def close(self) -> None:
        """End the process and the thread."""
        self._process.kill()
        self._process.wait()
        self._thread.join()

    def _listen(self) -> None:
        stream: IO[str] | None = self._process.stdout
        for line in stream or ():
            # A line begins with RAM, which the patterns need a space before.
            try:
                self._heat.put(parse_temperature(f" {line}"))
            except SensorError as error:
                self._heat.fail(str(error))
            try:
                watts, self.rail = parse_power(f" {line}")
                self._power.put(watts)
            except SensorError as error:
                self._power.fail(str(error))
        for latest in (self._power, self._heat):
            latest.fail("it ended")


def _start(command: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace"
    )
