"""Which board this is, as its firmware and its vendor's system say; nothing on a common PC.

Files only, below `root`: no vendor tool has to be installed, and none is started.
"""

from __future__ import annotations

import re
from pathlib import Path


def identify(root: Path = Path("/")) -> dict[str, str]:
    """Keys for a fingerprint; a machine without a device tree and without Jetson Linux has none.

    `board` is the device tree's model, `cpu_id` implementer and part of each kind of ARM core,
    `l4t` and `jetpack` the release of Jetson Linux, `nvpmodel` the power mode that caps clocks and
    cores (NVIDIA Jetson Linux Developer Guide, "nvpmodel").
    """
    found = {
        "board": read(root / "proc/device-tree/model").strip("\0\n "),
        "cpu_id": _cpu_id(root),
        "jetpack": package(root, "nvidia-jetpack"),
        "l4t": _jetson_linux(root),
        "nvpmodel": _power_mode(root),
    }
    return {key: value for key, value in found.items() if value}


def read(path: Path) -> str:
    """Text of a file; nothing if there is none, or the kernel does not give it."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def package(root: Path, name: str) -> str:
    """Version of an installed Debian package."""
    pattern = (
        rf"^Package: {re.escape(name)}\nStatus: install ok installed\n(?:.+\n)*?Version: (.+)$"
    )
    match = re.search(pattern, read(root / "var/lib/dpkg/status"), re.MULTILINE)
    return match[1] if match else ""


def _cpu_id(root: Path) -> str:
    text = read(root / "proc/cpuinfo")
    implementers = re.findall(r"^CPU implementer\s*:\s*(\S+)$", text, re.MULTILINE)
    parts = re.findall(r"^CPU part\s*:\s*(\S+)$", text, re.MULTILINE)
    return " ".join(
        sorted({f"{who}/{part}" for who, part in zip(implementers, parts, strict=False)})
    )


def _jetson_linux(root: Path) -> str:
    text = read(root / "etc/nv_tegra_release")
    match = re.search(r"^# R(\d+) \(release\), REVISION: ([\d.]+)", text)
    return f"{match[1]}.{match[2]}" if match else ""


def _power_mode(root: Path) -> str:
    """Number and name; the running mode is in a file that any user may read."""
    status = re.search(r"pmode:(\d+)", read(root / "var/lib/nvpmodel/status"))
    if not status:
        return ""
    number = int(status[1])
    modes = read(root / "etc/nvpmodel.conf")
    name = re.search(rf"^<\s*POWER_MODEL\s+ID={number}\s+NAME=(\S+)", modes, re.MULTILINE)
    return f"{number} {name[1]}" if name else str(number)
