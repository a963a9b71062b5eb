"""One artifact by our worker and by the bare loops of its runtime, in one interleaved run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgesmith import contract as contracts
from edgesmith.bench import statistics as stats
from edgesmith.bench.process import Loadable, Settings
from edgesmith.bench.turns import take_turns
from edgesmith.intervals import Interval

# By format: the loops, the one that a program of its own would contain first.
LOOPS = {
    "onnx": ("onnx_run", "onnx_binding"),
    "tflite": ("litert_invoke",),
    "ncnn": ("ncnn_extract",),
}
# What is called a figure of the runtime, and no more.
AIM = 0.02

HEADERS = (
    *("artifact", "precision", "engine", "loop", "ours, p50 ms", "loop, p50 ms"),
    *("ours / loop", "more, ms"),
)


class Row(NamedTuple):
    """Our figure beside one bare loop; `ratio` is ours over the loop's."""

    artifact: str
    precision: str
    engine: str
    loop: str
    ours_ms: float
    loop_ms: float
    ratio: float
    interval: Interval
    warmup_runs: int

    @property
    def overhead(self) -> bool:
        """Whether ours is certainly slower by more than the aim."""
        return self.interval.low > 1 + AIM


def compare(artifact: Path, settings: Settings) -> list[Row]:
    """The rows of one artifact, one per loop of its format."""
    contract = contracts.read(artifact)
    loops = LOOPS[contract.format]
    turns = take_turns(
        [
            Loadable(artifact),
            *(Loadable(artifact, by=f"benchmarks.native.{loop}") for loop in loops),
        ],
        settings,
    )
    found = []
    for number, loop in enumerate(loops, start=1):
        ratio, interval = turns.speedup(number, over=0)
        found.append(
            Row(
                f"{contract.variant}.{contract.format}",
                contract.precision,
                turns.loaded[number]["engine"],
                loop,
                stats.latency(turns.all_ms(0)).p50,
                stats.latency(turns.all_ms(number)).p50,
                ratio,
                interval,
                turns.warm[number]["runs"],
            )
        )
    return found


def texts(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """The rows as text."""
    return [
        (
            row.artifact,
            row.precision,
            row.engine,
            f"`{row.loop}`",
            f"{row.ours_ms:.3f}",
            f"{row.loop_ms:.3f}",
            f"{row.ratio:.3f} [{row.interval.low:.3f}, {row.interval.high:.3f}]"
            + (" **more**" if row.overhead else ""),
            f"{row.ours_ms - row.loop_ms:+.3f}",
        )
        for row in rows
    ]
