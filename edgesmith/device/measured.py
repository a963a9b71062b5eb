"""What was measured on a device, and whether by the machine that its record describes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from edgesmith.bench import record
from edgesmith.bench.record import Bench
from edgesmith.device import fingerprint
from edgesmith.device.fingerprint import Device

# Of one network in every runtime: another kind of record in the same folder.
_RUNTIMES = ".runtimes.json"


class Measured(NamedTuple):
    """One cell; `current` if the machine of `device.json` measured it, as that machine is now."""

    bench: Bench
    current: bool


class OnDevice(NamedTuple):
    """The record of a device, if it was ever probed, and its cells, fastest first."""

    device: Device | None
    cells: list[Measured]


def read(name: str, folder: Path = Path()) -> OnDevice:
    """Cells of `metrics/bench/<name>` in a checkout, with the machine of `devices/<name>`.

    Raises ContractError for a damaged record.
    """
    path = folder / "devices" / name / "device.json"
    device = fingerprint.read(path) if path.is_file() else None
    files = (folder / "metrics/bench" / name).glob("*.json")
    benches = [record.read(file) for file in files if not file.name.endswith(_RUNTIMES)]
    benches.sort(key=lambda bench: (bench.latency_ms.p50, bench.variant, bench.format))
    known = device.fingerprint_id if device else None
    return OnDevice(device, [Measured(bench, bench.fingerprint == known) for bench in benches])
