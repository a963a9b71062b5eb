"""Clock and governor of the processor."""

from __future__ import annotations

import re
import statistics
from pathlib import Path

from edgesmith.device.sensors.source import Gauge, SensorError, in_order, read_number, read_text


def clock(root: Path) -> Gauge:
    """Mean clock over all cores, MHz; SensorError with what is missing.

    cpufreq where the kernel steers the clock; else the figure of /proc/cpuinfo, which a virtual
    machine may give as a constant.
    """
    policies = policy_folders(root)
    current = [folder / "scaling_cur_freq" for folder in policies]
    if current and all(path.is_file() for path in current):
        gauge = Gauge("cpufreq scaling_cur_freq", lambda: mean_mhz(current))
    elif _cpuinfo_mhz(root):
        gauge = Gauge(
            "/proc/cpuinfo",
            lambda: _mean_of_cpuinfo(root),
            "changes of the clock: a virtual machine may show a constant",
        )
    else:
        raise SensorError(
            f"no cpufreq in {root / 'sys/devices/system/cpu'} and no MHz in {root / 'proc/cpuinfo'}"
            " (a virtual machine does not see its clock)"
        )
    gauge.read()
    return gauge


def governor(root: Path) -> str:
    """Governor of all cores ("performance", or "performance schedutil" where they differ)."""
    policies = policy_folders(root)
    if not policies:
        raise SensorError(f"no cpufreq in {root / 'sys/devices/system/cpu'}")
    return " ".join(sorted({read_text(folder / "scaling_governor") for folder in policies}))


def policy_folders(root: Path) -> list[Path]:
    """Each core's cpufreq folder, in order; empty where the kernel does not steer the clock."""
    cores = in_order(list((root / "sys/devices/system/cpu").glob("cpu[0-9]*")))
    return [core / "cpufreq" for core in cores if (core / "cpufreq").is_dir()]


def mean_mhz(paths: list[Path]) -> float:
    """Mean of files in kHz; cores that are off (unreadable) do not count."""
    values, faults = [], []
    for path in paths:
        try:
            values.append(read_number(path) / 1000)
        except SensorError as error:
            faults.append(error)
    if not values:
        raise faults[0]
    return statistics.fmean(values)


def _mean_of_cpuinfo(root: Path) -> float:
    values = _cpuinfo_mhz(root)
    if not values:
        raise SensorError(f"{root / 'proc/cpuinfo'}: no MHz")
    return statistics.fmean(values)


def _cpuinfo_mhz(root: Path) -> list[float]:
    try:
        text = read_text(root / "proc/cpuinfo")
    except SensorError:
        return []
    found = re.findall(r"^cpu MHz\s*:\s*(\d+(?:\.\d+)?)$", text, re.MULTILINE)
    return [float(value) for value in found if float(value) > 0]
