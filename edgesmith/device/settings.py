"""Settings of a board that decide how fast it computes and for how long, as it has them now.

Read from the kernel and, for a Pi's flags, from its firmware; nothing is changed. Sources:
docs/devices/, by board. What a machine does not show is no row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from edgesmith.device import accelerators, board
from edgesmith.device.accelerators import Ask
from edgesmith.device.sensors import clocks, raspberry
from edgesmith.device.sensors.source import (
    Run,
    SensorError,
    label,
    read_number,
    read_text,
    run_command,
)

_GOVERNOR = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
_PI5 = re.compile(r"Raspberry Pi 5\b")  # and not the 500
# What the firmware of a Pi 5 agreed on with the supply, mA, as a big-endian word.
_SUPPLY = "proc/device-tree/chosen/power/max_current"
_FULL_SUPPLY_MA = 5000
# By PCI vendor and device (empty: any): whose link must be as fast as the chip allows.
_LINKED = {("0x1e60", ""): "Hailo", ("0x1ac1", "0x089a"): "Edge TPU"}
_CORAL_USB = {("1a6e", "089a"), ("18d1", "9302")}
_USB3_MBIT = 5000


class Setting(NamedTuple):
    """What something is set to; `remedy` where that costs speed, empty where it is as it should."""

    name: str
    value: str
    remedy: str = ""

    @property
    def words(self) -> str:
        """One line: what it is, and what to do where it should be something else."""
        return f"look: {self.value}; {self.remedy}" if self.remedy else f"good: {self.value}"


def examine(
    root: Path = Path("/"), run: Run = run_command, ask: Ask = accelerators.ask
) -> list[Setting]:
    """The settings that this machine shows, in the order in which to mend them.

    `run` and `ask` start a board's own tools.
    """
    found = (
        *(_supply(root), _throttling(root, run), _fan(root)),
        *(_governor(root), _limits(root), _power_mode(root), _held_clocks(root)),
        *_links(root),
        *(_coral_usb(root), _hailo_versions(root, ask)),
    )
    return [setting for setting in found if setting is not None]


def parse_supply(content: bytes) -> int:
    """Milliamperes of `/proc/device-tree/chosen/power/max_current`; 0 where nothing was agreed."""
    return int.from_bytes(content[:4], "big")


def parse_speed(text: str) -> float:
    """GT/s of `5.0 GT/s PCIe`; SensorError for anything else, such as `Unknown`."""
    match = re.match(r"(\d+(?:\.\d+)?) GT/s", text)
    if not match:
        raise SensorError(f"a PCIe link says {text.strip()[:40]!r}, not … GT/s")
    return float(match[1])


def _supply(root: Path) -> Setting | None:
    path = root / _SUPPLY
    if not _is_pi5(root) or not path.is_file():
        return None
    current = parse_supply(path.read_bytes())
    remedy = "" if current >= _FULL_SUPPLY_MA else "a supply of 5 V at 5 A feeds USB and HATs too"
    return Setting("supply", f"{current} mA agreed with it" if current else "unknown", remedy)


def _throttling(root: Path, run: Run) -> Setting | None:
    """The firmware's flags, now and since boot: a supply that sags only under load is seen too."""
    if not board.read(root / "proc/device-tree/model").startswith("Raspberry Pi"):
        return None
    try:
        said = _flags(root, run)
        now = raspberry.Flags(lambda: said).read()
        ever = raspberry.since_boot(raspberry.parse_throttled(said))
    except SensorError:
        return None
    if not now and not ever:
        return Setting("throttling", "none since boot")
    value = f"now {', '.join(now)}" if now else f"since boot {', '.join(ever)}"
    weak = "under-voltage" in (*now, *ever)
    remedy = "another supply or a shorter, thicker cable" if weak else "cool the board"
    return Setting("throttling", value, f"{remedy}; a reboot clears what was since boot")


def _flags(root: Path, run: Run) -> str:
    files = sorted(root.glob("sys/devices/platform/soc*/soc*firmware/get_throttled"))
    return read_text(files[0]) if files else run(["vcgencmd", "get_throttled"])


def _fan(root: Path) -> Setting | None:
    """Of a Pi 5, whose kernel shows a fan only where one turned at boot."""
    if not _is_pi5(root):
        return None
    kinds = [label(path) for path in (root / "sys/class/thermal").glob("cooling_device*/type")]
    if "pwm-fan" in kinds:
        return Setting("fan", "pwm-fan")
    return Setting("fan", "none that the board steers", "active cooling, or long loads get slow")


def _governor(root: Path) -> Setting | None:
    try:
        governor = clocks.governor(root)
    except SensorError:
        return None
    return Setting("governor", governor, "" if governor == "performance" else _GOVERNOR)


def _limits(root: Path) -> Setting | None:
    """The highest clock that is allowed, of the highest that the cores have."""
    try:
        pairs = [
            (read_number(folder / "scaling_max_freq"), read_number(folder / "cpuinfo_max_freq"))
            for folder in clocks.policy_folders(root)
        ]
    except SensorError:
        return None
    if not pairs or not all(highest for _, highest in pairs):
        return None
    allowed, highest = min(pairs, key=lambda pair: pair[0] / pair[1])
    if allowed >= highest:
        return Setting("clock limit", f"{highest / 1000:.0f} MHz, the cores' own")
    value = f"{allowed / 1000:.0f} of {highest / 1000:.0f} MHz"
    return Setting("clock limit", value, "cool the board, or lift the cap (scaling_max_freq)")


def _power_mode(root: Path) -> Setting | None:
    mode = board.identify(root).get("nvpmodel")
    if mode is None:
        return None
    if "MAXN" in mode:
        return Setting("nvpmodel", mode)
    return Setting("nvpmodel", mode, "caps clocks and cores; modes: grep MODEL /etc/nvpmodel.conf")


def _held_clocks(root: Path) -> Setting | None:
    """Whether `jetson_clocks` holds the clocks: it raises each least clock to the highest."""
    if "l4t" not in board.identify(root):
        return None
    cores = [
        (path / "scaling_min_freq", path / "scaling_max_freq")
        for path in clocks.policy_folders(root)
    ]
    gpus = [
        (path / "min_freq", path / "max_freq")
        for path in sorted((root / "sys/class/devfreq").glob("*"))
        if path.name.endswith((".gpu", ".ga10b", ".gp10b", ".gv11b"))
    ]
    try:
        held = [read_number(least) == read_number(most) for least, most in (*cores, *gpus)]
    except SensorError:
        return None
    if not held:
        return None
    if all(held):
        return Setting("jetson_clocks", "clocks are held at their highest")
    return Setting("jetson_clocks", "clocks follow the load", "sudo jetson_clocks")


def _links(root: Path) -> Iterator[Setting]:
    """PCIe of each accelerator against what its chip can do."""
    for device in sorted((root / "sys/bus/pci/devices").glob("*")):
        vendor, kind = label(device / "vendor"), label(device / "device")
        name = _LINKED.get((vendor, "")) or _LINKED.get((vendor, kind))
        if name is None:
            continue
        try:
            speed = parse_speed(label(device / "current_link_speed"))
            most = parse_speed(label(device / "max_link_speed"))
        except SensorError:
            continue
        slow = "dtparam=pciex1_gen=3 in /boot/firmware/config.txt" if _is_pi5(root) else "the slot"
        yield Setting(
            f"PCIe of {name}", f"{speed:g} of {most:g} GT/s", slow if speed < most else ""
        )


def _coral_usb(root: Path) -> Setting | None:
    for device in sorted((root / "sys/bus/usb/devices").glob("*")):
        if (label(device / "idVendor"), label(device / "idProduct")) in _CORAL_USB:
            try:
                speed = read_number(device / "speed")
            except SensorError:
                return None
            remedy = "" if speed >= _USB3_MBIT else "a USB 3 port (blue) and its own cable"
            return Setting("USB of Edge TPU", f"{speed:g} Mbit/s", remedy)
    return None


def _hailo_versions(root: Path, ask: Ask) -> Setting | None:
    found = accelerators.identify(root, ask)
    driver, firmware = found.get("hailo.driver"), found.get("hailo.firmware")
    if driver is None or firmware is None:
        return None
    remedy = "" if driver == firmware else "must be of one release: sudo apt install hailo-all"
    return Setting("HailoRT", f"driver {driver}, firmware {firmware}", remedy)


def _is_pi5(root: Path) -> bool:
    return bool(_PI5.match(board.read(root / "proc/device-tree/model")))
