"""Networks timed in turns, alone and end to end, in both orders."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from edgesmith.bench import statistics as stats
from edgesmith.bench.measure import Loadable, Process, Settings, interleave
from edgesmith.intervals import Interval

# The network alone, and from an encoded image to boxes in its pixels.
CALLS = ("infer", "end_to_end")
# The first runs of a turn find the caches as another process left them.
_SETTLE_SECONDS = 0.05


@dataclass
class Timing:
    """One network: samples in milliseconds by call and round, and its warm-up."""

    rounds_ms: dict[str, list[list[float]]]
    warmup_runs: int
    steady: bool

    def all_ms(self, call: str) -> list[float]:
        """Samples of every round, in order."""
        return [value for samples in self.rounds_ms[call] for value in samples]

    def ratio(self, other: Timing, call: str) -> tuple[float, Interval]:
        """How many times longer it takes than `other`, round by round."""
        return stats.ratio_interval(
            [
                statistics.median(own) / statistics.median(theirs)
                for own, theirs in zip(self.rounds_ms[call], other.rounds_ms[call], strict=True)
            ]
        )


def measure(networks: list[Loadable], settings: Settings, frame: bytes) -> list[Timing]:
    """Half of the rounds in this order, half in the opposite one by processes started anew.

    Where a process lies in memory, and what ran just before it, are worth several percent. `frame`
    is the encoded image of both calls.
    """
    half = settings._replace(rounds=math.ceil(settings.rounds / 2))
    there = _one_way(networks, half, frame)
    back = _one_way(networks[::-1], half, frame)[::-1]
    return [
        Timing(
            rounds_ms={call: one.rounds_ms[call] + two.rounds_ms[call] for call in CALLS},
            warmup_runs=one.warmup_runs + two.warmup_runs,
            steady=one.steady and two.steady,
        )
        for one, two in zip(there, back, strict=True)
    ]


def _one_way(networks: list[Loadable], settings: Settings, frame: bytes) -> list[Timing]:
    with ExitStack() as stack:
        processes = [stack.enter_context(Process(network, settings, frame)) for network in networks]
        warm = [
            process.ask(do="warm_up", max_seconds=settings.max_warmup_seconds)
            for process in processes
        ]
        turns = [_turn(process, call, settings) for process in processes for call in CALLS]
        taken = interleave(turns, settings.rounds)
    return [
        Timing(
            rounds_ms={
                call: taken[len(CALLS) * number + place] for place, call in enumerate(CALLS)
            },
            warmup_runs=answer["runs"],
            steady=answer["steady"],
        )
        for number, answer in enumerate(warm)
    ]


def _turn(process: Process, call: str, settings: Settings) -> Callable[[], list[float]]:
    def take() -> list[float]:
        answer = process.ask(
            do="sample",
            what=call,
            min_runs=settings.min_runs,
            min_seconds=settings.min_seconds,
            settle_seconds=_SETTLE_SECONDS,
        )
        return [float(value) for value in answer["samples_ms"]]

    return take
