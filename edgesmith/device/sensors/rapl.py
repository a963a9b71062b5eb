"""Energy counters of x86 processors: the kernel's powercap tree.

docs.kernel.org/power/powercap/powercap.html: `energy_uj` counts up and begins anew at
`max_energy_range_uj`. Since Linux 5.10 only root may read it (CVE-2020-8694).
"""

from __future__ import annotations

from pathlib import Path

from edgesmith.device.sensors.source import Counter, SensorError, in_order, label, read_number

LEAVES_OUT = "everything outside the processor's package: board, disks, often memory, the supply"


def energy(root: Path) -> Counter:
    """All packages together; SensorError with the remedy where they cannot be read."""
    parent = root / "sys/class/powercap"
    domains = [
        folder
        for folder in in_order(list(parent.glob("intel-rapl:[0-9]*")))
        if folder.name.count(":") == 1 and label(folder / "name").startswith("package")
    ]
    if not domains:
        raise SensorError(f"no RAPL package in {parent}")
    meters = [_Package(folder) for folder in domains]
    names = "+".join(label(folder / "name") for folder in domains)
    counter = Counter(f"RAPL {names}", lambda: sum(meter.read() for meter in meters), LEAVES_OUT)
    counter.read()
    return counter


class _Package:
    """One counter, made to rise for ever."""

    def __init__(self, folder: Path) -> None:
        self._counter = folder / "energy_uj"
        self._range_uj = read_number(folder / "max_energy_range_uj")
        self._last_uj: float | None = None
        self._total_uj = 0.0

    def read(self) -> float:
        """Joules since the first call. Right if it wraps at most once between two calls."""
        try:
            now = read_number(self._counter)
        except SensorError as error:
            if isinstance(error.__cause__, PermissionError):
                raise SensorError(
                    f"{error}; run as root or `sudo chmod a+r {self._counter}`"
                ) from error
            raise
        if self._last_uj is not None:
            rise = now - self._last_uj
            self._total_uj += rise if rise >= 0 else rise + self._range_uj
        self._last_uj = now
        return self._total_uj / 1e6
