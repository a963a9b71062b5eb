"""What a measurement depends on: two machines with one fingerprint measure the same.

Only what stays the same from run to run belongs here. Temperature, load and the clock of the moment
are measured beside a benchmark, never used to recognise a machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import Literal

import psutil
from pydantic import BaseModel, ConfigDict, Field

from edgesmith import files
from edgesmith.device import accelerators, board
from edgesmith.errors import ContractError

# Instructions that the kernels of the runtimes choose by (x86 and ARM names of /proc/cpuinfo).
_ISA = (
    *("sse4_1", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512vl"),
    *("avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"),
    *("asimd", "neon", "fphp", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme"),
)

# Distributions whose version changes latency: the engines and what prepares their input.
DISTRIBUTIONS = (
    *("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml"),
    *("ai-edge-litert", "tflite-runtime", "ncnn", "tensorrt", "numpy"),
    *("opencv-python-headless", "opencv-python"),
)

_ROOT = Path("/")
_CPU = "sys/devices/system/cpu"


class Device(BaseModel):
    """`devices/<name>/device.json`: which machine measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    name: str
    fingerprint: dict[str, str]
    fingerprint_id: str = Field(pattern="^[0-9a-f]{12}$")


def probe(name: str) -> Device:
    """This machine, under the name of its folder in `devices/`."""
    found = fingerprint()
    return Device(name=name, fingerprint=found, fingerprint_id=fingerprint_id(found))


def read(path: Path) -> Device:
    """Parse a `device.json`; ContractError when it is missing or damaged."""
    return files.read_record(
        path,
        Device,
        ContractError,
        missing="run `python -m stages.probe` on that device",
        damaged="not a device record: remove it and run `python -m stages.probe`",
    )


def here(path: Path) -> Device:
    """The device record of this machine; ContractError when `path` describes another one.

    A measurement must not be filed under a machine that did not make it.
    """
    device = read(path)
    if device.fingerprint_id != (current := fingerprint_id(fingerprint())):
        raise ContractError(
            f"{path}: describes another machine, or this one before a change "
            f"({device.fingerprint_id}; now {current}); run `dvc repro`, whose probe renews it"
        )
    return device


def write(device: Device, path: Path) -> None:
    """Write `device.json`, leaving a file that already says the same untouched."""
    content = json.dumps(device.model_dump(mode="json"), indent=2) + "\n"
    if not path.is_file() or path.read_text() != content:
        files.write_text(path, content)


def fingerprint(root: Path = _ROOT) -> dict[str, str]:
    """What latency depends on here, in name order; what the machine does not expose is absent.

    `root` is where /proc, /sys, /etc and /var are found: a container may see its host's elsewhere.
    Counts and versions are of the running process.
    """
    found = {
        "arch": platform.machine(),
        "boost": _boost(root),
        "cores": _cores(),
        "cpu": _cpu_model(root),
        "governor": _distinct(root, "cpufreq/scaling_governor"),
        "isa": _isa(root),
        "kernel": platform.release(),
        "max_mhz": _max_mhz(root),
        "memory_gib": str(round(psutil.virtual_memory().total / 2**30)),
        "os": _os_name(root),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        **{f"runtime.{name}": _version(name) for name in DISTRIBUTIONS},
        **board.identify(root),
        **accelerators.identify(root),
    }
    return {key: value for key, value in sorted(found.items()) if value}


def fingerprint_id(values: dict[str, str]) -> str:
    """The first 12 hexadecimal digits of the SHA-256 of a fingerprint."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def describe(values: dict[str, str]) -> str:
    """One line for people: CPU, cores, memory, governor, operating system."""
    governor = values.get("governor")
    parts = [
        values.get("cpu", "unknown CPU"),
        values.get("cores", ""),
        f"{values['memory_gib']} GiB" if "memory_gib" in values else "",
        f"governor {governor}" if governor else "clock governor not exposed",
        values.get("os", ""),
        values.get("arch", ""),
    ]
    return ", ".join(part for part in parts if part)


def _cores() -> str:
    """Physical and logical cores, and how many of them this process may use."""
    logical = psutil.cpu_count() or 1
    physical = psutil.cpu_count(logical=False) or logical
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else logical
    text = f"{physical} cores, {logical} threads"
    return text if usable == logical else f"{text}, {usable} usable"


def _cpu_model(root: Path) -> str:
    """Marketing name on x86; on ARM the board's name with implementer and part of each cluster."""
    text = board.read(root / "proc/cpuinfo")
    if match := re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE):
        return match[1].strip()
    name = board.read(root / "proc/device-tree/model").strip("\0\n ")
    parts = sorted(set(re.findall(r"^CPU part\s*:\s*(\S+)$", text, re.MULTILINE)))
    found = " ".join(part for part in (name, *parts) if part)
    return found or platform.processor() or platform.machine()


def _isa(root: Path) -> str:
    text = board.read(root / "proc/cpuinfo")
    match = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    flags = set(match[1].split()) if match else set()
    return " ".join(name for name in _ISA if name in flags)


def _boost(root: Path) -> str:
    """Whether the clock may exceed its base, where the kernel says so."""
    if turbo := board.read(root / _CPU / "intel_pstate/no_turbo").strip():
        return "off" if turbo == "1" else "on"
    return {"0": "off", "1": "on"}.get(board.read(root / _CPU / "cpufreq/boost").strip(), "")


def _max_mhz(root: Path) -> str:
    """The highest clock of each kind of core: an overclocked board is another machine."""
    kilohertz = _distinct(root, "cpufreq/cpuinfo_max_freq").split()
    return " ".join(str(int(value) // 1000) for value in kilohertz if value.isdigit())


def _distinct(root: Path, name: str) -> str:
    values = {board.read(path).strip() for path in (root / _CPU).glob(f"cpu[0-9]*/{name}")}
    return " ".join(sorted(values - {""}))


def _os_name(root: Path) -> str:
    match = re.search(
        r'^PRETTY_NAME="?([^"\n]+)', board.read(root / "etc/os-release"), re.MULTILINE
    )
    return match[1] if match else f"{platform.system()} {platform.release()}"


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""
