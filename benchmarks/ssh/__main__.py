"""`python -m benchmarks.ssh`: does measuring over SSH change a figure? -> docs/ssh.md.

The device is this machine, so that a difference can only come from the way of measuring. Local and
remote measurements take turns, L R R L L R R L …, and each neighbouring pair gives one ratio.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.ssh.loopback import Loopback, loopback, why_not
from edgesmith import files
from edgesmith.bench import statistics as stats
from edgesmith.bench.measure import Settings, measure_pair
from edgesmith.bench.record import Bench
from edgesmith.device import fingerprint
from edgesmith.errors import EdgesmithError
from edgesmith.intervals import Interval
from edgesmith.remote.connection import CONFIG
from edgesmith.remote.measure import measure_pair as measure_there
from edgesmith.remote.options import Options

PAGE = Path("docs/ssh.md")
BEGIN, END = "<!-- ssh -->\n", "<!-- /ssh -->"
FIGURES: dict[str, Callable[[Bench], float]] = {
    "p50, ms": lambda bench: bench.latency_ms.p50,
    "p90, ms": lambda bench: bench.latency_ms.p90,
    "end to end p50, ms": lambda bench: bench.end_to_end_ms.p50,
    "load, ms": lambda bench: bench.load_ms,
    "memory, MB": lambda bench: bench.rss_mb,
}


class Row(NamedTuple):
    """One figure of one artifact: medians of both ways, and remote over local with its interval."""

    artifact: str
    figure: str
    local: float
    remote: float
    ratio: float
    interval: Interval
    control: Interval


def compare(device: Loopback, artifact: Path, pairs: int, settings: Settings) -> list[Row]:
    """All figures of an artifact, each way measured twice per pair and in turns.

    `control` is the ratio of one local measurement to the next local one: what differs by itself.
    """

    def local() -> Bench:
        return measure_pair(artifact, artifact, settings, device="here", fingerprint="0" * 12)

    def remote() -> Bench:
        return measure_there(
            device.target,
            *(artifact, artifact, settings),
            device_name="here",
            options=Options(say=lambda message: None),
        )

    taken: list[tuple[Bench, Bench, Bench, Bench]] = []
    for number in range(pairs):
        before, first, second, after = local(), remote(), remote(), local()
        taken.append((before, first, second, after))
        print(
            f"{artifact}: {number + 1}/{pairs}: local {before.latency_ms.p50:.3f} and "
            f"{after.latency_ms.p50:.3f}, SSH {first.latency_ms.p50:.3f} and "
            f"{second.latency_ms.p50:.3f} ms",
            file=sys.stderr,
        )
    rows = []
    for name, of in FIGURES.items():
        here = [(of(a) + of(d)) / 2 for a, _, _, d in taken]
        there = [(of(b) + of(c)) / 2 for _, b, c, _ in taken]
        ratio, interval = stats.ratio_interval([t / h for t, h in zip(there, here, strict=True)])
        _, control = stats.ratio_interval([of(d) / of(a) for a, _, _, d in taken])
        rows.append(
            Row(
                f"{taken[0][0].variant}, {taken[0][0].format}",
                name,
                statistics.median(here),
                statistics.median(there),
                ratio,
                interval,
                control,
            )
        )
    return rows


def table(rows: list[Row], pairs: int) -> str:
    """The rows as Markdown, with what they were measured on."""
    lines = [
        "| artifact | figure | here | over SSH | SSH ÷ here | here again ÷ here |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.artifact} | {row.figure} | {row.local:.3f} | {row.remote:.3f} | {row.ratio:.3f} "
        f"[{row.interval.low:.3f}, {row.interval.high:.3f}] | "
        f"[{row.control.low:.3f}, {row.control.high:.3f}] |"
        for row in rows
    ]
    machine = fingerprint.describe(fingerprint.fingerprint())
    return "\n".join(lines) + (
        f"\n\n{pairs} × (here, SSH, SSH, here), medians, brackets are 95 % intervals of the ratio; "
        f"{machine}, one thread.\n"
    )


def main() -> None:
    """Start the device, measure, and put the table into the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ssh",
        description="The same artifacts measured here and over SSH to this machine, in turns. "
        "Needs root and openssh-server; run it with nothing else running.",
    )
    parser.add_argument("artifacts", nargs="+", type=Path, help="folders of artifacts")
    parser.add_argument("--pairs", type=int, default=10, help="turns of both ways")
    asked = parser.parse_args()
    if why := why_not():
        sys.exit(f"error: {why}")
    try:
        with loopback() as device:
            os.environ[CONFIG] = str(device.config)
            rows = [
                row
                for artifact in asked.artifacts
                for row in compare(device, artifact, asked.pairs, Settings())
            ]
    except EdgesmithError as error:
        sys.exit(f"error: {error}")
    text = table(rows, asked.pairs)
    print(text)
    head, _, rest = PAGE.read_text().partition(BEGIN)
    files.write_text(PAGE, head + BEGIN + text + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
