"""Seconds of CPU until a command has done its work, in an environment of the device's alone."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from benchmarks.install.sizes import uv
from edgesmith.errors import RuntimeUnavailableError

TIMES = 7


class Start(NamedTuple):
    """Median of `TIMES` runs after one that does not count."""

    command: str
    cpu_s: float


def environment(folder: Path, wheel: Path, extra: str) -> Path:
    """The Python of a fresh virtual environment with an extra, as a user has it."""
    uv("venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
    python = folder / "bin/python"
    uv(
        "pip",
        "install",
        "--quiet",
        "--python",
        str(python),
        f"edgesmith[{extra}] @ {wheel.as_uri()}",
    )
    return python


def measure(python: Path, name: str, *arguments: str) -> Start:
    """CPU seconds, user and system, of one command; RuntimeUnavailableError where it fails."""
    taken = [_once([str(python), *arguments]) for _ in range(TIMES + 1)][1:]
    return Start(name, statistics.median(taken))


def slowest(python: Path, statement: str, count: int) -> list[tuple[str, float]]:
    """The modules of `-X importtime` that cost most by themselves, with milliseconds.

    The interpreter's own start is left out; the tracing itself adds to every module.
    """
    done = subprocess.run(
        [str(python), "-X", "importtime", "-c", statement],
        check=True,
        capture_output=True,
        text=True,
    )
    cost: dict[str, float] = {}
    for line in done.stderr.splitlines():
        fields = line.removeprefix("import time:").split("|")
        if len(fields) == 3 and fields[0].strip().isdigit():
            top = fields[2].strip().split(".")[0]
            cost[top] = cost.get(top, 0.0) + int(fields[0]) / 1000
    return sorted(cost.items(), key=lambda item: -item[1])[:count]


def _once(command: list[str]) -> float:
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_environment()
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeUnavailableError(
            f"`{' '.join(command[1:5])}` ended with status {process.returncode}; run it by hand"
        )
    return usage.ru_utime + usage.ru_stime


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
