"""Raspberry Pi: what its firmware says through `vcgencmd` or the kernel.

Formats: raspberrypi.com/documentation/computers/os.html#vcgencmd (`measure_temp`, `get_throttled`,
`pmic_read_adc`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from edgesmith.device.sensors.source import Gauge, Run, SensorError, Watch, read_text
from edgesmith.device.sensors.thermal import celsius

# Bits of get_throttled: what is so now. The same 16 bits higher: what was so since boot.
_BITS = {
    0: "under-voltage",
    1: "clock capped by the firmware",
    2: "throttled by the firmware",
    3: "soft temperature limit",
}
_SINCE_BOOT = 16
PMIC_LEAVES_OUT = (
    "what the 5 V input feeds directly (USB devices, fan, an accelerator or SSD on PCIe) and the "
    "losses of conversion: an underestimate"
)


def thermometer(run: Run) -> Gauge:
    """The firmware's temperature; SensorError where vcgencmd gives none."""
    command = ["vcgencmd", "measure_temp"]
    gauge = Gauge(" ".join(command), lambda: parse_temperature(run(command)))
    gauge.read()
    return gauge


def power(run: Run) -> Gauge:
    """Sum over the rails that the power controller of a Pi 5 measures."""
    command = ["vcgencmd", "pmic_read_adc"]
    gauge = Gauge(" ".join(command), lambda: parse_pmic(run(command)), PMIC_LEAVES_OUT)
    gauge.read()
    return gauge


def throttling(root: Path, run: Run) -> Watch:
    """The firmware's flags; SensorError where neither kernel nor vcgencmd gives them."""
    files = sorted(root.glob("sys/devices/platform/soc*/soc*firmware/get_throttled"))
    if files:
        watch = Watch("firmware get_throttled", Flags(lambda: read_text(files[0])).read)
    else:
        command = ["vcgencmd", "get_throttled"]
        watch = Watch(" ".join(command), Flags(lambda: run(command)).read)
    watch.read()
    return watch


class Flags:
    """get_throttled over time: a flag that came and went between two looks is not lost."""

    def __init__(self, text: Callable[[], str]) -> None:
        self._text = text
        self._before: int | None = None

    def read(self) -> tuple[str, ...]:
        """What is so now, or was so since the last call."""
        flags = parse_throttled(self._text())
        since = flags & ~(flags if self._before is None else self._before)
        self._before = flags
        return tuple(
            reason
            for bit, reason in _BITS.items()
            if flags >> bit & 1 or since >> (bit + _SINCE_BOOT) & 1
        )


def parse_temperature(text: str) -> float:
    """°C of `temp=48.3'C`."""
    match = re.fullmatch(r"temp=(\d+(?:\.\d+)?)'C", text.strip())
    if not match:
        raise SensorError(f"vcgencmd measure_temp: said {text.strip()[:60]!r}, not temp=…'C")
    return celsius(float(match[1]), "vcgencmd measure_temp")


def parse_throttled(text: str) -> int:
    """Flags of `throttled=0x50005` (vcgencmd) or `50005` (the kernel's file)."""
    match = re.fullmatch(r"(?:throttled=0x|0x)?([0-9a-fA-F]{1,8})", text.strip())
    if not match:
        raise SensorError(f"get_throttled: said {text.strip()[:60]!r}, not throttled=0x…")
    return int(match[1], 16)


def since_boot(flags: int) -> tuple[str, ...]:
    """What was so at any time since boot."""
    return tuple(reason for bit, reason in _BITS.items() if flags >> (bit + _SINCE_BOOT) & 1)


def parse_pmic(text: str) -> float:
    """Watts: the sum of current times voltage over all rails that have both.

    SensorError where a rail with a current has no voltage: the sum would miss it silently.
    """
    amperes = dict(re.findall(r"^\s*(\S+)_A current\(\d+\)=(\d+\.\d+)A\s*$", text, re.MULTILINE))
    volts = dict(re.findall(r"^\s*(\S+)_V volt\(\d+\)=(\d+\.\d+)V\s*$", text, re.MULTILINE))
    if not amperes:
        raise SensorError(
            f"vcgencmd pmic_read_adc: said {text.strip()[:60]!r}, no current of a rail (only a "
            "Raspberry Pi 5 measures its rails)"
        )
    if missing := sorted(set(amperes) - set(volts)):
        raise SensorError(
            f"vcgencmd pmic_read_adc: no voltage of {', '.join(missing)}; the output is cut off"
        )
    return sum(float(value) * float(volts[rail]) for rail, value in amperes.items())
