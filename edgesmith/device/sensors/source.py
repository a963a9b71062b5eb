"""What all sensors share: reading a file of the kernel, running a tool, and saying why not."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from edgesmith.errors import EdgesmithError

# A tool that takes longer hangs; a reading that old is of another moment anyway.
_PATIENCE_SECONDS = 5.0

# Runs a command and gives its standard output; SensorError where it cannot.
Run = Callable[[Sequence[str]], str]


class SensorError(EdgesmithError):
    """A sensor is not here, may not be read, or said something that is no reading."""


class Gauge(NamedTuple):
    """A sensor of one figure: °C, MHz or W by where it stands in `Sensors`.

    `read` raises SensorError where there is no figure now. `leaves_out` says what of the quantity
    the sensor does not see.
    """

    name: str
    read: Callable[[], float]
    leaves_out: str = ""


class Counter(NamedTuple):
    """A sensor of energy: `read` gives joules since its first call, and never falls."""

    name: str
    read: Callable[[], float]
    leaves_out: str = ""


class Watch(NamedTuple):
    """A sensor of throttling: `read` gives what slows the machine since the last call, in words."""

    name: str
    read: Callable[[], tuple[str, ...]]


def run_command(command: Sequence[str]) -> str:
    """Standard output of a tool; SensorError with its own words where it fails."""
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE_SECONDS,
        )
    except FileNotFoundError as error:
        raise SensorError(f"no {command[0]} here") from error
    except subprocess.TimeoutExpired as error:
        raise SensorError(f"`{' '.join(command)}` gave nothing in {error.timeout:g} s") from error
    except OSError as error:
        raise SensorError(f"{command[0]} cannot be run ({error.strerror})") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "without a word").splitlines()[-1]
        raise SensorError(f"`{' '.join(command)}` ended with status {done.returncode}: {said}")
    return done.stdout


def read_text(path: Path) -> str:
    """Content of a kernel's file without white space around it; SensorError with the cause."""
    try:
        return path.read_text(errors="replace").strip("\0 \t\r\n")
    except OSError as error:
        raise SensorError(f"{path}: {(error.strerror or 'unreadable').lower()}") from error


def read_number(path: Path) -> float:
    """The number that a file holds; SensorError where it holds something else."""
    text = read_text(path)
    if not re.fullmatch(r"[+-]?\d+(\.\d+)?", text):
        raise SensorError(f"{path}: says {text[:40]!r}, not a number")
    return float(text)


def works(sensor: Gauge | Counter) -> bool:
    """Whether a sensor gives a figure now."""
    try:
        sensor.read()
    except SensorError:
        return False
    return True


def label(path: Path) -> str:
    """What a `…_label` or `name` file says; empty where there is none."""
    try:
        return read_text(path)
    except SensorError:
        return ""


def in_order(paths: Sequence[Path]) -> list[Path]:
    """Paths by the numbers in their names: zone 2 before zone 10."""
    return sorted(paths, key=lambda path: [int(n) for n in re.findall(r"\d+", path.name)])
