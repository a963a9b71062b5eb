"""Speed and power of a HEF by Hailo's own tool, 4.x and 5.x."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from edgesmith.hef import preflight
from edgesmith.hef.errors import HailoError


class Measured(BaseModel):
    """One network; what the tool did not measure is absent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: str
    fps: float
    hw_only_fps: float | None = None
    frames: int | None = None
    hw_latency_ms: float | None = None
    overall_latency_ms: float | None = None
    power_w: float | None = None
    max_power_w: float | None = None


By = Literal["benchmark", "run", "run2"]


def measure(hef: Path, library: str, seconds: int = 15, by: By | None = None) -> list[Measured]:
    """Streaming throughput and latency.

    `library` is HailoRT's version; `by` is its command, where not given `benchmark` of 4.x or
    `run2` of 5.x, whose benchmark writes no CSV. Raises HailoError with the remedy for the tool's
    status.
    """
    chosen = by or ("benchmark" if library.startswith("4.") else "run2")
    if chosen == "benchmark" and not library.startswith("4."):
        raise HailoError(
            f"hailortcli benchmark of {library} writes no result that can be read; use run2"
        )
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result"
        # benchmark measures three times, and loads the network each time.
        limit = 3 * seconds + 60
        if chosen == "benchmark":
            preflight.call(benchmark_arguments(hef, seconds, result), limit)
            return parse_benchmark(_text(result))
        if chosen == "run":
            preflight.call(run_arguments(hef, seconds, "streaming", result), limit)
            return parse_run(_text(result))
        preflight.call(run2_arguments(hef, seconds, result), limit)
        return parse_run2(_text(result))


def benchmark_arguments(hef: Path, seconds: int, result: Path) -> list[str]:
    """Of 4.x; 5.x ignores --csv."""
    return ["benchmark", str(hef), "-t", str(seconds), "--csv", str(result)]


def run_arguments(hef: Path, seconds: int, mode: str, result: Path) -> list[str]:
    """`mode` is streaming or hw_only."""
    arguments = ["run", str(hef), "-t", str(seconds), "-m", mode, "--measure-latency"]
    return [*arguments, "--csv", str(result)]


def run2_arguments(hef: Path, seconds: int, result: Path) -> list[str]:
    """Of 4.x and 5.x."""
    options = ["--measure-latency", "--measure-power", "-t", str(seconds), "-j", str(result)]
    return ["run2", *options, "set-net", str(hef)]


def parse_benchmark(text: str) -> list[Measured]:
    """The CSV of `hailortcli benchmark` 4.x."""
    return [_measured(row) for row in _rows(text, "benchmark")]


def parse_run(text: str) -> list[Measured]:
    """The CSV of `hailortcli run`; HailoError for a row whose status is not 0."""
    rows = _rows(text, "run")
    for row in rows:
        if row["status"] != "0":
            code = int(row["status"] or -1)
            raise preflight.explain(f"hailortcli run {row['net_name']}", code, f"status {code}")
    return [_measured(row) for row in rows]


def parse_run2(text: str) -> list[Measured]:
    """The JSON of `hailortcli run2`, whose FPS is a string."""
    try:
        groups = json.loads(text)["network_groups"]
        return [
            Measured(
                network=group["name"],
                fps=float(group["FPS"]),
                hw_latency_ms=group.get("hw_latency"),
                overall_latency_ms=group.get("overall_latency"),
            )
            for group in groups
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise HailoError(f"hailortcli run2: its JSON is not as known ({error!r})") from error


def _rows(text: str, command: str) -> list[dict[str, str]]:
    rows = list(csv.DictReader(io.StringIO(text)))
    if not rows or "net_name" not in rows[0]:
        raise HailoError(f"hailortcli {command}: its CSV is empty or not as known: {text[:80]!r}")
    return rows


def _measured(row: dict[str, str]) -> Measured:
    """A row of either CSV: what both have is called the same."""
    fps, frames = _number(row, "fps"), _number(row, "num_of_frames")
    if fps is None:
        raise HailoError(f"hailortcli: {row['net_name']}: its CSV has no fps")
    return Measured(
        network=row["net_name"],
        fps=fps,
        hw_only_fps=_number(row, "hw_only_fps"),
        frames=None if frames is None else int(frames),
        hw_latency_ms=_number(row, "hw_latency"),
        overall_latency_ms=_number(row, "overall_latency"),
        power_w=_number(row, "average_power"),
        max_power_w=_number(row, "max_power"),
    )


def _number(row: dict[str, str], key: str) -> float | None:
    try:
        return float(row[key])
    except (KeyError, TypeError, ValueError):
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise HailoError(f"hailortcli wrote no result ({error.strerror})") from error
