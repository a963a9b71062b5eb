"""One run of an artifact, a second process of the same, and one that is 5 % slower."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgesmith.bench.process import Loadable, Settings
from edgesmith.bench.turns import take_turns
from edgesmith.intervals import Interval

SLOWED = "benchmarks.resolution.slowed"


class Trial(NamedTuple):
    """How many times longer the copy and the slowed one took, with intervals."""

    copy: float
    copy_interval: Interval
    slowed: float
    slowed_interval: Interval

    @property
    def seen(self) -> bool:
        """Whether the slowed one was told apart."""
        return excludes_one(self.slowed_interval)

    @property
    def false_alarm(self) -> bool:
        """Whether the copy was, though there is no difference."""
        return excludes_one(self.copy_interval)


def excludes_one(interval: Interval) -> bool:
    """Whether a ratio's interval says that the two differ."""
    return interval.low > 1 or interval.high < 1


def run(artifact: Path, settings: Settings) -> Trial:
    """Artifact, copy and slowed one in turns, once."""
    turns = take_turns(
        [Loadable(artifact), Loadable(artifact), Loadable(artifact, by=SLOWED)], settings
    )
    copy, copy_interval = turns.speedup(0, over=1)
    slowed, slowed_interval = turns.speedup(0, over=2)
    return Trial(copy, copy_interval, slowed, slowed_interval)


def row(name: str, trials: Sequence[Trial]) -> tuple[str, ...]:
    """The trials of one artifact as text."""
    count = len(trials)
    slowed = sorted(trial.slowed for trial in trials)
    copy = sorted(trial.copy for trial in trials)
    widths = sorted(
        (trial.slowed_interval.high - trial.slowed_interval.low) / 2 for trial in trials
    )
    return (
        name,
        f"{slowed[0]:.3f} … {slowed[count // 2]:.3f} … {slowed[-1]:.3f}",
        f"{sum(trial.seen for trial in trials)} of {count}",
        f"{copy[0]:.3f} … {copy[count // 2]:.3f} … {copy[-1]:.3f}",
        f"{sum(trial.false_alarm for trial in trials)} of {count}",
        f"±{100 * widths[count // 2]:.1f} %",
    )
