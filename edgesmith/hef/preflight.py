"""Is there an accelerator, does everything about it fit together, and will it take this HEF?

Each check says what to do; the statuses are those of HailoRT's `hailort.h` (4.23, 5.2).
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from edgesmith.hef.archs import HAILORT_MAJOR
from edgesmith.hef.errors import HailoError
from edgesmith.hef.facts import Hef

_VENDOR = "0x1e60"
_TIMEOUT_S = 20
REMEDIES = {
    73: "another process uses it: stop it (`sudo lsof /dev/hailo0`), or share it through "
    "hailort.service",
    74: "no accelerator was found: `lspci | grep Hailo` must list it; on a Raspberry Pi seat the "
    "flat cable again, put dtparam=pciex1 into /boot/firmware/config.txt and reboot",
    76: "driver and library are of different versions: install both of one release (`sudo apt "
    "install --reinstall hailo-all`, or the hailort and hailort-pcie-driver packages), then reboot",
    91: "the HEF is damaged: `edgesmith inspect` says where; pull or compile it again",
    92: "the HEF is newer than the library: update HailoRT, or compile with an older Dataflow "
    "Compiler (3.x belongs to HailoRT 4.x, 5.x to 5.x)",
    93: "the HEF was compiled for another chip: `edgesmith inspect` says which; compile it for "
    "this one (prepare.arch in toolchains/hailo/params.yaml; a hailo8l HEF runs on Hailo-8, a "
    "hailo8 one never on Hailo-8L)",
}


class Identity(NamedTuple):
    """What the chip says of itself; empty where it does not."""

    arch: str
    firmware: str
    board: str
    serial: str
    part: str


class Link(NamedTuple):
    """The PCIe connection in use, and the best that the chip could have."""

    address: str
    speed: str
    width: str
    max_speed: str
    max_width: str


class Finding(NamedTuple):
    """One check: `ok` is None where it could not be made."""

    ok: bool | None
    what: str
    remedy: str = ""


def status_of(output: str) -> int | None:
    """The first HailoRT status in a tool's output: 76 of `HAILO_INVALID_DRIVER_VERSION(76)`.

    None where it names none.
    """
    named = re.search(r"HAILO_[A-Z_]+\((\d+)\)", output) or re.search(r"status[ =]+(\d+)", output)
    return int(named[1]) if named else None


def explain(command: str, code: int, output: str) -> HailoError:
    """The error of a HailoRT tool that failed, with the remedy for its status."""
    status = status_of(output)
    if status is None and code in REMEDIES:
        status = code  # hailortcli exits with the status
    last = (output.strip().splitlines() or ["it printed nothing"])[-1]
    remedy = REMEDIES.get(status or -1, "see its output; `edgesmith doctor` checks the rest")
    named = f"HailoRT status {status}" if status is not None else f"exit code {code}"
    return HailoError(f"{command}: {named}: {last}; {remedy}")


def parse_identify(output: str) -> Identity:
    """What `hailortcli fw-control identify` printed; HailoError where it found no chip.

    Without one it prints nothing and exits with 0: its exit code says nothing.
    """
    pairs = dict(re.findall(r"^([A-Z][\w -]+): *(.*?)[\0\s]*$", output, re.MULTILINE))
    if "Device Architecture" not in pairs:
        raise explain("hailortcli fw-control identify", 74, output)
    return Identity(
        arch=pairs["Device Architecture"],
        firmware=pairs.get("Firmware Version", "").split(" ")[0],
        board=pairs.get("Board Name", ""),
        serial=_told(pairs.get("Serial Number", "")),
        part=_told(pairs.get("Part Number", "")),
    )


def identify() -> Identity:
    """The first chip of this machine; HailoError with the remedy where there is none."""
    return parse_identify(call(["fw-control", "identify"]))


def library_version() -> str:
    """Of `hailortcli`, which is that of libhailort."""
    found = re.search(r"\d+\.\d+\.\d+", call(["--version"]))
    if not found:
        raise HailoError("hailortcli --version names no version; reinstall HailoRT")
    return found[0]


def call(arguments: list[str], timeout_s: float = _TIMEOUT_S) -> str:
    """Standard output and error of `hailortcli`; HailoError where it is missing or fails."""
    tool = shutil.which("hailortcli")
    if tool is None:
        raise HailoError(
            "hailortcli is not installed; `sudo apt install hailo-all` on a Raspberry Pi, "
            "elsewhere the hailort package of Hailo's developer zone"
        )
    name = f"hailortcli {' '.join(arguments)}"
    try:
        # Its log would land in the working directory.
        done = subprocess.run(
            [tool, *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HAILORT_LOGGER_PATH": "NONE"},
        )
    except subprocess.TimeoutExpired as error:
        raise HailoError(
            f"{name}: no answer within {timeout_s:g} s; the chip hangs: reboot, or `hailortcli "
            "fw-control reset --reset-type soft`"
        ) from error
    output = done.stdout + done.stderr
    if done.returncode != 0:
        raise explain(name, done.returncode, output)
    return output


def driver_version(modules: Path = Path("/sys/module")) -> str | None:
    """Of the loaded kernel module; None where none is loaded or it does not say."""
    for name in ("hailo_pci", "hailo1x_pci"):
        path = modules / name / "version"
        if path.is_file():
            return path.read_text().strip()
    return None


def links(devices: Path = Path("/sys/bus/pci/devices")) -> list[Link]:
    """PCIe connections of all Hailo chips."""
    found = []
    for device in sorted(devices.glob("*")):
        if _read(device / "vendor") == _VENDOR:
            names = ("current_link_speed", "current_link_width", "max_link_speed", "max_link_width")
            found.append(Link(device.name, *(_read(device / name) for name in names)))
    return found


def check(
    identity: Identity, driver: str | None, library: str, pcie: list[Link], hef: Hef | None = None
) -> list[Finding]:
    """All findings about a machine with a chip, and about a HEF on it."""
    found = [Finding(True, f"chip {identity.arch}, {identity.board}".rstrip(", "))]
    for name, version in (("driver", driver), ("firmware", identity.firmware or None)):
        if version is None:
            found.append(Finding(None, f"{name}: its version is not told"))
        elif version == library:
            found.append(Finding(True, f"{name} {version}, as the library"))
        else:
            found.append(Finding(False, f"{name} {version}, library {library}", REMEDIES[76]))
    found += [_link(link) for link in pcie] or [Finding(None, "PCIe link: not found in sysfs")]
    if hef is not None:
        found += [_arch(identity, hef), _release(library, hef)]
    return found


def examine(hef: Hef | None = None) -> list[Finding]:
    """`check` of this machine; where there is no tool or no chip, that and what sysfs says."""
    pcie, driver = links(), driver_version()
    try:
        library, identity = library_version(), identify()
    except HailoError as error:
        found = [Finding(False, str(error))]
        loaded = "none is loaded, or it does not tell its version" if driver is None else driver
        found.append(Finding(driver is not None or None, f"driver: {loaded}"))
        found += [_link(link) for link in pcie]
        if hef is not None:
            chips = ", ".join(hef.runs_on) or "no known chip"
            found.append(Finding(None, f"{hef.file} is for {hef.hw_arch}; runs on {chips}"))
        return found
    return check(identity, driver, library, pcie, hef)


def _link(link: Link) -> Finding:
    text = f"PCIe {link.address}: {link.speed} ×{link.width}"
    if "2.5" in link.speed or link.speed.startswith("5"):
        return Finding(
            False,
            f"{text}; the chip can {link.max_speed} ×{link.max_width}",
            "on a Raspberry Pi 5 put dtparam=pciex1_gen=3 into /boot/firmware/config.txt and "
            "reboot: networks of several contexts lose most by a slow link",
        )
    return Finding(True, text)


def _arch(identity: Identity, hef: Hef) -> Finding:
    fits = identity.arch in hef.runs_on
    text = f"{hef.file} is for {hef.hw_arch}, the chip is {identity.arch}"
    return Finding(fits, text, "" if fits else REMEDIES[93])


def _release(library: str, hef: Hef) -> Finding:
    compiler = re.match(r"\d+", hef.dfc_version)
    wanted = HAILORT_MAJOR.get(int(compiler[0])) if compiler else None
    if wanted is None:
        return Finding(None, f"{hef.file}: its compiler's version is not told")
    text = f"{hef.file} is of Dataflow Compiler {hef.dfc_version}, HailoRT is {library}"
    fits = library.startswith(f"{wanted}.")
    return Finding(fits, text, "" if fits else REMEDIES[92])


def _told(value: str) -> str:
    """Boards without a number say N/A."""
    return "" if value == "N/A" else value


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
