"""Which accelerator is plugged in, with the driver and firmware that its speed depends on.

What sysfs says needs no vendor tool. Two things it does not say: whether a Hailo chip is an 8 or an
8L, and what a GPU is; `hailortcli` and `nvidia-smi` are asked where they and the device are.
Serial numbers are left out: two boards that measure the same are one machine here.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from edgesmith.device.board import package, read

# Of PCI: Hailo Technologies; Global Unichip's Edge TPU.
_HAILO, _APEX = "0x1e60", ("0x1ac1", "0x089a")
# Of USB: the Edge TPU before and after libedgetpu has loaded its firmware, at first use.
_CORAL = {("1a6e", "089a"), ("18d1", "9302")}
_GPU_FIELDS = {
    "name": "gpu.name",
    "driver_version": "gpu.driver",
    "compute_cap": "gpu.compute",
    "memory.total": "gpu.memory",
    "power.limit": "gpu.power_limit",
}
_PATIENCE_SECONDS = 20.0

Ask = Callable[[Sequence[str]], str]


def ask(command: Sequence[str]) -> str:
    """Standard output of a command; nothing if it is not installed, fails, or hangs."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            # HailoRT writes hailort.log into the working directory otherwise.
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HAILORT_LOGGER_PATH": "NONE"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def identify(root: Path = Path("/"), ask: Ask = ask) -> dict[str, str]:
    """Keys for a fingerprint, `hailo.*`, `coral.*` and `gpu.*`; none where there is no accelerator.

    `ask` runs a vendor's command and returns what it prints.
    """
    found = {**_hailo(root, ask), **_coral(root), **_gpu(root, ask)}
    return {key: value for key, value in found.items() if value}


def parse_identify(text: str) -> dict[str, str]:
    """`arch` and `firmware` from `hailortcli fw-control identify`; empty without a device.

    The command ends with status 0 and prints nothing when it finds no device, so that only the line
    `Device Architecture:` proves one.
    """
    lines = dict(re.findall(r"^([A-Z][\w ]+): (.+?)\s*$", text, re.MULTILINE))
    if "Device Architecture" not in lines:
        return {}
    return {
        "arch": lines["Device Architecture"],
        "firmware": lines.get("Firmware Version", "").split(" ")[0],
    }


def parse_gpus(text: str) -> dict[str, str]:
    """Keys of the first GPU from `nvidia-smi --query-gpu=… --format=csv,noheader`.

    `[N/A]`, which integrated GPUs answer to some of them, is left out.
    """
    first = (text.strip().splitlines() or [""])[0]
    values = [value.strip() for value in first.split(",")]
    if len(values) != len(_GPU_FIELDS):
        return {}
    known = {
        key: value
        for key, value in zip(_GPU_FIELDS.values(), values, strict=True)
        if "N/A" not in value and "Not Supported" not in value
    }
    count = len(text.strip().splitlines())
    return known | ({"gpu.count": str(count)} if count > 1 else {})


def _hailo(root: Path, ask: Ask) -> dict[str, str]:
    devices = [device for device in _pci(root) if read(device / "vendor").strip() == _HAILO]
    if not devices:
        return {}
    identity = parse_identify(ask(["hailortcli", "fw-control", "identify"]))
    return {
        "hailo.arch": identity.get("arch", ""),
        "hailo.firmware": identity.get("firmware", ""),
        "hailo.driver": read(root / "sys/module/hailo_pci/version").strip(),
        "hailo.link": _link(devices[0]),
    }


def _coral(root: Path) -> dict[str, str]:
    runtime = next(
        (
            f"{name} {version}"
            for name in ("libedgetpu1-max", "libedgetpu1-std")
            if (version := package(root, name))
        ),
        "",
    )
    for device in sorted((root / "sys/bus/usb/devices").glob("*")):
        ids = (read(device / "idVendor").strip(), read(device / "idProduct").strip())
        if ids in _CORAL:
            link = f"USB {read(device / 'speed').strip()} Mbit/s"
            return {"coral.link": link, "coral.runtime": runtime}
    for device in _pci(root):
        if (read(device / "vendor").strip(), read(device / "device").strip()) == _APEX:
            return {
                "coral.link": _link(device),
                "coral.driver": read(root / "sys/module/apex/version").strip(),
                "coral.runtime": runtime,
            }
    return {}


def _gpu(root: Path, ask: Ask) -> dict[str, str]:
    # Asked only where NVIDIA's driver is loaded: nvidia-smi waits for it otherwise.
    if not (root / "proc/driver/nvidia").is_dir():
        return {}
    query = f"--query-gpu={','.join(_GPU_FIELDS)}"
    return parse_gpus(ask(["nvidia-smi", query, "--format=csv,noheader"]))


def _pci(root: Path) -> list[Path]:
    return sorted((root / "sys/bus/pci/devices").glob("*"))


def _link(device: Path) -> str:
    speed = read(device / "current_link_speed").strip()
    width = read(device / "current_link_width").strip()
    return f"PCIe {speed.removesuffix(' PCIe')} x{width}" if speed and width else ""
