"""Temperature from the kernel: thermal zones and the chips behind hwmon."""

from __future__ import annotations

from pathlib import Path

from edgesmith.device.sensors.source import (
    Gauge,
    SensorError,
    in_order,
    label,
    read_number,
    works,
)

# Types of the zone that follows the processor, best first: Raspberry Pi and many ARM boards
# (cpu-thermal, cpu_thermal), Jetson (CPU-therm, cpu-thermal), Rockchip (soc-thermal, bigcore…),
# x86 (x86_pkg_temp, then acpitz, which on many boards is a fixed figure).
_ZONES = ("cpu", "x86_pkg_temp", "soc", "bigcore", "package", "tj", "acpitz")
# hwmon drivers that measure the processor's die, and the label to prefer.
_CHIPS = {"coretemp": "Package id 0", "k10temp": "Tctl", "zenpower": "Tdie", "cpu_thermal": ""}
# Sensors off the silicon's scale are unplugged or asleep (a Jetson's CV zones say -256 °C).
_LOWEST, _HIGHEST = -40.0, 150.0


def zones(root: Path) -> list[Gauge]:
    """Every thermal zone that can be read now, that of the processor first."""
    found = [_zone(folder) for folder in _folders(root, "sys/class/thermal", "thermal_zone*")]
    return sorted((gauge for gauge in found if gauge), key=_rank)


def chips(root: Path) -> list[Gauge]:
    """The temperature inputs of hwmon's processor sensors that can be read now, package first."""
    found: list[tuple[bool, Gauge]] = []
    for folder in _folders(root, "sys/class/hwmon", "hwmon*"):
        chip = label(folder / "name")
        if chip not in _CHIPS:
            continue
        for path in in_order(list(folder.glob("temp*_input"))):
            part = label(path.with_name(path.name.replace("_input", "_label")))
            gauge = _millidegrees(f"hwmon {chip} {part or path.stem.removesuffix('_input')}", path)
            if works(gauge):
                found.append((part != _CHIPS[chip], gauge))
    return [gauge for _, gauge in sorted(found, key=lambda pair: pair[0])]


def celsius(value: float, where: str) -> float:
    """`value` if it can be a temperature of a running chip; SensorError otherwise."""
    if not _LOWEST <= value <= _HIGHEST:
        raise SensorError(f"{where}: {value:g} °C is no temperature of a running chip")
    return value


def _folders(root: Path, parent: str, pattern: str) -> list[Path]:
    return in_order(list((root / parent).glob(pattern)))


def _zone(folder: Path) -> Gauge | None:
    kind = label(folder / "type")
    gauge = _millidegrees(f"{folder.name} {kind}", folder / "temp")
    return gauge if kind and works(gauge) else None


def _rank(gauge: Gauge) -> int:
    kind = gauge.name.split(" ", 1)[1].lower()
    return next((rank for rank, word in enumerate(_ZONES) if word in kind), len(_ZONES))


def _millidegrees(name: str, path: Path) -> Gauge:
    return Gauge(name, lambda: celsius(read_number(path) / 1000, str(path)))
