"""Images per second of several processes at once: MLPerf's offline scenario in small.

Each stream is a process of its own with the network in it, as a service runs one per core. In every
round one stream runs alone and then all of them together, so that what they gain is a ratio of the
same moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

from edgesmith.bench import statistics as stats
from edgesmith.bench.frame import camera_frame
from edgesmith.bench.process import Loadable, Process, Settings
from edgesmith.errors import RuntimeUnavailableError
from edgesmith.intervals import Bounds

# Long enough that starting and stopping together does not matter.
_SECONDS = 0.5


class Throughput(BaseModel):
    """`streams` processes with `threads` each, `batch` images per call; `fps` counts images.

    `one_fps` is a stream alone in the same rounds, `scaling` how many times that all reach.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    streams: int = Field(gt=0)
    threads: int = Field(gt=0)
    batch: int = Field(gt=0)
    what: Literal["infer", "end_to_end"]
    rounds: int = Field(gt=0)
    fps: PositiveFloat
    fps_ci95: Bounds
    one_fps: PositiveFloat
    scaling: PositiveFloat
    scaling_ci95: Bounds


def measure_streams(
    network: Loadable,
    streams: int,
    settings: Settings,
    frame: bytes | None = None,
    what: Literal["infer", "end_to_end"] = "infer",
) -> Throughput:
    """Aggregate images per second of `streams` processes that run at once.

    Raises ContractError or RuntimeUnavailableError when the network cannot be run.
    """
    frame = camera_frame() if frame is None else frame
    images = network.batch if what == "infer" else 1
    with ExitStack() as stack:
        processes = [stack.enter_context(Process(network, settings, frame)) for _ in range(streams)]
        if what not in processes[0].loaded["calls"]:
            raise RuntimeUnavailableError(f"{network.folder}: its loader has no {what!r} to time")
        for process in processes:
            process.ask(do="warm_up", max_seconds=settings.max_warmup_seconds)
        seconds = max(settings.min_seconds, _SECONDS)
        alone, together = [], []
        for _ in range(settings.rounds):
            alone.append(images * _round(processes[:1], what, seconds))
            together.append(images * _round(processes, what, seconds))
    one_fps, _ = stats.ratio_interval(alone)
    fps, interval = stats.ratio_interval(together)
    scaling, scaling_interval = stats.ratio_interval(
        [all_of / one for all_of, one in zip(together, alone, strict=True)]
    )
    return Throughput(
        streams=streams,
        threads=network.threads or settings.threads,
        batch=images,
        what=what,
        rounds=settings.rounds,
        fps=round(fps, 2),
        fps_ci95=Bounds.of(interval, 2),
        one_fps=round(one_fps, 2),
        scaling=round(scaling, 4),
        scaling_ci95=Bounds.of(scaling_interval),
    )


def rate(ends: Sequence[Sequence[float]]) -> float:
    """Calls per second while all streams ran; each is its start and then the end of each call.

    Only from the last start to the first stream's last end: outside, fewer than all ran. Raises
    RuntimeUnavailableError when they did not overlap.
    """
    since = max(stream[0] for stream in ends)
    until = min(stream[-1] for stream in ends)
    calls = sum(since < end <= until for stream in ends for end in stream[1:])
    if until <= since or not calls:
        raise RuntimeUnavailableError(
            "the streams did not run at the same time; ask for fewer, this machine is too busy"
        )
    return calls / (until - since)


def _round(processes: Sequence[Process], what: str, seconds: float) -> float:
    for process in processes:
        process.tell(do="stream", what=what, seconds=seconds)
    return rate([process.answer()["ends_s"] for process in processes])
