"""How long each stage takes, counted in shared memory: constant in size, safe from any crash."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import NamedTuple

# Stages as `Result.ms` names them; `output` is what the outputs take, `latency` from the reading of
# a frame to its last output.
STAGES = ("capture", "wait", "preprocess", "infer", "decode", "track", "output", "latency")
# Bins grow by 2 %: a percentile read from them is off by 1 % at most.
_LOWEST_MS, _HIGHEST_MS, _GROWTH = 0.001, 600_000.0, 1.02
_BINS = math.ceil(math.log(_HIGHEST_MS / _LOWEST_MS) / math.log(_GROWTH)) + 1
BYTES = 8 * len(STAGES) * _BINS


class Percentiles(NamedTuple):
    """Of one stage, in milliseconds; `max` is right to 1 % as well."""

    frames: int
    p50: float
    p90: float
    max: float


class Tally:
    """Counts by stage and duration; one process adds, any may read."""

    def __init__(self, words: memoryview) -> None:
        """Count in `words`, `BYTES` / 8 of them."""
        self._words = words

    def add(self, ms: Mapping[str, float]) -> None:
        """Count the stages of one frame; others than `STAGES` are left out."""
        for number, stage in enumerate(STAGES):
            if stage in ms:
                self._words[number * _BINS + _bin(ms[stage])] += 1

    def percentiles(self) -> dict[str, Percentiles]:
        """By stage that was counted at all."""
        found = {}
        for number, stage in enumerate(STAGES):
            counts = list(self._words[number * _BINS : (number + 1) * _BINS])
            total = sum(counts)
            if total:
                found[stage] = Percentiles(
                    total, _at(counts, total / 2), _at(counts, 0.9 * total), _at(counts, total)
                )
        return found


def _bin(ms: float) -> int:
    if ms <= _LOWEST_MS:
        return 0
    return min(int(math.log(ms / _LOWEST_MS) / math.log(_GROWTH)), _BINS - 1)


def _at(counts: list[int], rank: float) -> float:
    """The middle of the bin in which the frame of this rank lies."""
    reached = enumerate(itertools.accumulate(counts))
    number = next(number for number, seen in reached if seen >= rank)
    return float(_LOWEST_MS * _GROWTH ** (number + 0.5))
