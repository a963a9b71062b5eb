"""What would make a run on a device fail, found before anything is sent."""

from __future__ import annotations

import re
import time
from importlib import metadata
from typing import Any

from edgesmith.contract import Contract
from edgesmith.errors import RuntimeUnavailableError
from edgesmith.remote.device import Remote
from edgesmith.remote.errors import RemoteError
from edgesmith.runtimes.session import ENGINES

# What the device side imports whatever the format: module and distribution.
_LIBRARIES = {
    "numpy": "numpy",
    "cv2": "opencv-python-headless",
    "pydantic": "pydantic",
    "psutil": "psutil",
}

# Formats that hold machine code, and the processors beside which they exist.
_BOUND = {"engine": ("x86_64", "aarch64"), "hef": ("x86_64", "aarch64")}
_CLOCK_SECONDS = 120
# Unpacked and compiled package, results, and what the file system rounds up.
_SLACK_BYTES = 8 << 20


def survey(remote: Remote) -> dict[str, Any]:
    """What the device's Python is; RemoteError names the libraries that it lacks."""
    found = remote.ask("survey", modules=list(_LIBRARIES))
    if found["missing"]:
        names = [_LIBRARIES[name] for name in found["missing"]]
        raise RemoteError(
            f"{remote.target}: {found['executable']} lacks {', '.join(names)}; {remote.pip(*names)}"
        )
    ahead = found["time"] - time.time()
    if abs(ahead) > _CLOCK_SECONDS:
        remote.options.say(
            f"warning: {remote.target}: its clock is {abs(ahead):.0f} s "
            f"{'ahead' if ahead > 0 else 'behind'}; files and logs there carry wrong times"
        )
    return found


def require_machine(remote: Remote, contract: Contract, machine: str) -> None:
    """Refuse an artifact that this processor cannot run; RemoteError says which can."""
    name = f"{contract.variant}.{contract.format}"
    able = _BOUND.get(contract.format)
    if able and machine not in able:
        raise RemoteError(
            f"{remote.target}: {name} is for {contract.target} beside a processor of "
            f"{' or '.join(able)}, and this one is {machine}"
        )
    wanted = re.search(r"\b(x86_64|amd64|aarch64|arm64|armv7l)\b", contract.target)
    if wanted and _plain(wanted[0]) != _plain(machine):
        raise RemoteError(
            f"{remote.target}: {name} was built for {contract.target}, and this machine is "
            f"{machine}; export it for {machine}, or build it there"
        )


def require_engine(remote: Remote, package: str, contract: Contract, file: str) -> None:
    """Have the device load the engine of a contract that was sent there as `file`."""
    lacking = remote.call(package, "check", file)
    if not lacking:
        return
    missing = lacking["missing"]
    remedy = remote.pip(*_requirements(contract.format, missing)) if missing else ""
    message = (
        f"the {contract.format} format needs the Python package {missing!r}, which is not there"
        if missing
        else lacking["message"]
    )
    raise RuntimeUnavailableError(f"{remote.target}: {message}" + (remedy and f"; {remedy}"))


def require_space(remote: Remote, needed_bytes: int, free_bytes: int) -> None:
    """Refuse a device whose disk is too full; RemoteError says by how much."""
    needed_bytes += _SLACK_BYTES
    if free_bytes < needed_bytes:
        raise RemoteError(
            f"{remote.target}: {remote.options.folder}: {free_bytes / 1e6:.1f} MB are free, "
            f"{needed_bytes / 1e6:.1f} MB are needed; free some, or name another place with "
            "--remote-folder"
        )


def _plain(machine: str) -> str:
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)


def _requirements(format_name: str, missing: str) -> list[str]:
    """What to install for a format: the requirements of its extra, else the module's own name."""
    extra = ENGINES[format_name][1] if format_name in ENGINES else ""
    try:
        listed = metadata.requires("edgesmith") or []
    except metadata.PackageNotFoundError:
        listed = []
    marked = [
        line.split(";")[0].strip()
        for line in listed
        if re.search(rf"""extra\s*==\s*['"]{re.escape(extra)}['"]""", line)
    ]
    return marked if extra.startswith("device-") and marked else [missing]
