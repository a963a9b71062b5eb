"""Networks timed in turns, alone and end to end."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from edgesmith.bench import statistics as stats
from edgesmith.bench.measure import Loadable, Settings, take_turns
from edgesmith.intervals import Interval

# The network alone, and from an encoded image to boxes in its pixels.
CALLS = ("infer", "end_to_end")


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
    """All in turns, alone and end to end; `frame` is the encoded image of both calls."""
    turns = take_turns(networks, settings, frame, of_all=True)
    return [
        Timing(
            rounds_ms=dict(
                zip(CALLS, (turns.samples_ms[number], turns.end_to_end_ms[number]), strict=True)
            ),
            warmup_runs=turns.warm[number]["runs"],
            steady=turns.warm[number]["steady"],
        )
        for number in range(len(networks))
    ]
