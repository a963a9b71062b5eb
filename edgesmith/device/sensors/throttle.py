"""What the kernel says of clocks held back: counters, cooling devices, capped policies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from edgesmith.device.sensors.clocks import policy_folders
from edgesmith.device.sensors.source import (
    SensorError,
    Watch,
    in_order,
    label,
    read_number,
    read_text,
)

# NVIDIA's names of Orin's events (Jetson Linux Developer Guide, "Over-current throttling").
_EVENTS = {1: "under-voltage", 2: "average over-current", 3: "instantaneous over-current"}
# Cooling devices that slow the chip; fans cool and cost nothing, intel_powerclamp is -1 at rest.
_SLOWING = re.compile(r"cpufreq|processor|devfreq|throttle|cpu|gpu", re.IGNORECASE)
# A clock that is this far below its maximum under the governor `performance` is held back.
_HELD_BACK = 0.95


def counters(root: Path) -> Watch:
    """Events since the last look: x86 thermal_throttle, Jetson's over-current events."""
    cores = root / "sys/devices/system/cpu"
    paths = dict.fromkeys(cores.glob("cpu*/thermal_throttle/*_count"), "thermal throttling")
    for path in in_order(list((root / "sys/class/hwmon").glob("hwmon*/oc[1-3]_event_cnt"))):
        paths[path] = _EVENTS[int(path.name[2])]
    if not paths:
        raise SensorError(f"no thermal_throttle in {cores}")
    watch = Watch("kernel's event counters", Counters(paths).read)
    watch.read()
    return watch


def cooling(root: Path) -> Watch:
    """Cooling devices that slow processor or GPU: at work or not."""
    folders = [
        folder
        for folder in in_order(list((root / "sys/class/thermal").glob("cooling_device*")))
        if _SLOWING.search(label(folder / "type")) and "fan" not in label(folder / "type")
    ]
    if not folders:
        raise SensorError(f"no cooling device of the processor in {root / 'sys/class/thermal'}")

    def at_work() -> tuple[str, ...]:
        states = {folder: read_number(folder / "cur_state") for folder in folders}
        kinds = {read_text(folder / "type") for folder, state in states.items() if state > 0}
        return tuple(f"slowed by the kernel ({kind})" for kind in sorted(kinds))

    at_work()
    return Watch("cooling devices", at_work)


def policies(root: Path) -> Watch:
    """Whether cpufreq is held below the processor's maximum.

    `scaling_max_freq` below `cpuinfo_max_freq` is a cap, by the kernel against heat or by hand. A
    clock below its maximum counts only under the governor `performance`, and only where no
    boost makes the maximum a matter of luck.
    """
    folders = policy_folders(root)
    if not folders:
        raise SensorError(f"no cpufreq in {root / 'sys/devices/system/cpu'}")
    system = root / "sys/devices/system/cpu"
    boosts = label(system / "cpufreq/boost") == "1" or (system / "intel_pstate").is_dir()

    def held_back() -> tuple[str, ...]:
        reasons: list[str] = []
        for folder in folders:
            highest = read_number(folder / "cpuinfo_max_freq")
            allowed = read_number(folder / "scaling_max_freq")
            if allowed < highest:
                reasons.append(f"clock capped at {allowed / 1000:.0f} of {highest / 1000:.0f} MHz")
            elif not boosts and read_text(folder / "scaling_governor") == "performance":
                now = read_number(folder / "scaling_cur_freq")
                if now < _HELD_BACK * highest:
                    reasons.append("clock below its maximum under governor performance")
        return tuple(dict.fromkeys(reasons))

    held_back()
    return Watch("cpufreq limits", held_back)


class Counters:
    """Event counters over time; what was counted before the first look is not of this run."""

    def __init__(self, paths: Mapping[Path, str]) -> None:
        self._reasons = paths
        self._before: dict[Path, float] = {}

    def read(self) -> tuple[str, ...]:
        """Why counters rose since the last call."""
        now = {path: read_number(path) for path in self._reasons}
        risen = [self._reasons[p] for p, count in now.items() if count > self._before.get(p, count)]
        self._before = now
        return tuple(dict.fromkeys(risen))
