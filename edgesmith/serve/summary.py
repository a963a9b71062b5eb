"""What a session was like, from memory that no part's death erased."""

from __future__ import annotations

import time
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from edgesmith.serve.board import PARTS
from edgesmith.serve.heat import Heat
from edgesmith.serve.supervisor import Ending, Supervisor
from edgesmith.serve.tally import Tally

HEADERS = ("stage", "frames", "p50, ms", "p90, ms", "max, ms")


class Stage(BaseModel):
    """How long one stage took, each figure right to 1 %."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    frames: int
    p50_ms: float
    p90_ms: float
    max_ms: float


class Summary(BaseModel):
    """A session of the loop.

    `lost` frames were in the hands of a part when it was killed. `fps` is that from the first frame
    to the last. `artifact` is the folder that was run last.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ended: str
    gave_up: str
    seconds: float
    captured: int
    frames: int
    dropped: int
    lost: int
    detected: int
    fps: float
    restarts: dict[str, int]
    artifact: str
    degraded: bool
    temperature_c_max: float | None
    stages: dict[str, Stage]


class Table(NamedTuple):
    """The stages as text."""

    headers: tuple[str, ...]
    rows: list[tuple[str, ...]]


def summarise(supervisor: Supervisor, heat: Heat, ending: Ending) -> Summary:
    """The summary of a session that is over."""
    board, frames = supervisor.shared.board, supervisor.shared.frames
    seconds = time.monotonic() - supervisor.started_s
    finished = board.finished("sink")
    stages = Tally(board.tally_words()).percentiles()
    return Summary(
        ended=ending.words,
        gave_up=ending.gave_up,
        seconds=round(seconds, 3),
        captured=frames.count,
        frames=finished,
        dropped=frames.dropped,
        lost=max(frames.count - frames.dropped - finished, 0),
        detected=board.detected,
        fps=round(board.fps, 2),
        restarts={part: supervisor.restarts.get(part, 0) for part in PARTS},
        artifact=supervisor.artifact,
        degraded=supervisor.degraded,
        temperature_c_max=heat.highest_c,
        stages={
            name: Stage(
                frames=found.frames,
                p50_ms=round(found.p50, 3),
                p90_ms=round(found.p90, 3),
                max_ms=round(found.max, 3),
            )
            for name, found in stages.items()
        },
    )


def table(summary: Summary) -> Table:
    """A row per stage."""
    return Table(
        HEADERS,
        [
            (
                name,
                str(stage.frames),
                f"{stage.p50_ms:.2f}",
                f"{stage.p90_ms:.2f}",
                f"{stage.max_ms:.2f}",
            )
            for name, stage in summary.stages.items()
        ],
    )


def pairs(summary: Summary) -> dict[str, str]:
    """Names and values for a reader."""
    share = summary.detected / summary.frames if summary.frames else 0.0
    replaced = ", ".join(f"{part} {n}×" for part, n in summary.restarts.items() if n)
    found = {
        "ended": summary.ended + (f": {summary.gave_up}" if summary.gave_up else ""),
        "frames": f"{summary.frames} in {summary.seconds:.1f} s, {summary.fps:.1f} a second",
        "model ran on": f"{summary.detected} ({share:.0%})",
        "dropped": f"{summary.dropped} of {summary.captured} that were read, for a newer one"
        + (f"; {summary.lost} lost with a part" if summary.lost else ""),
        "replaced": replaced or "no part",
        "artifact": summary.artifact + (" (fallback)" if summary.degraded else ""),
        "temperature": "no sensor"
        if summary.temperature_c_max is None
        else f"{summary.temperature_c_max:.1f} °C at most",
    }
    return found
