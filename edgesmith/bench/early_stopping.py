"""The percentile that MLPerf would report from so many runs: an upper bound, not an estimate.

LoadGen's early stopping (mlcommons/inference, `loadgen/early_stopping.cc` and `EarlyStopping` of
`loadgen/results.cc`; MLPerf Inference Rules, "Early stopping"). A run is over-latency when it takes
longer than the true percentile p, which happens with probability 1 − p, and of n independent runs
binomially often. If t over-latency runs or fewer have a probability below 1 − c, then more than t
of the n did exceed it, with confidence c: the t-th largest sample is no smaller than the
percentile. LoadGen takes the largest such t, c = 0.99 and a tolerance of 0; t must be at least 1,
which needs 64 runs for a p90 and 662 for a p99.

Runs of one process are not independent: a clock that changes for a second touches hundreds in a
row. The bound is that of MLPerf, with its assumption.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Literal

import numpy as np

from edgesmith.bench.statistics import Samples

Percentile = Literal["p90", "p99"]

SHARE: dict[Percentile, float] = {"p90": 0.90, "p99": 0.99}
CONFIDENCE = 0.99


def allowed_overlatency(runs: int, share: float, confidence: float = CONFIDENCE) -> int:
    """The largest t with P(X <= t) < 1 − confidence, X ~ binomial(runs, 1 − share); −1 if none.

    Summed in logarithms, so that many runs do not underflow. `share` in (0, 1).
    """
    log_odds = math.log(1 - share) - math.log(share)
    log_term = runs * math.log(share)  # P(X = 0)
    below, allowed = 0.0, -1
    for t in range(runs + 1):
        below += math.exp(log_term)
        if below >= 1 - confidence:
            break
        allowed = t
        if t < runs:
            log_term += math.log(runs - t) - math.log(t + 1) + log_odds
    return allowed


@cache
def fewest_runs(percentile: Percentile) -> int:
    """How many runs a percentile needs at least: 64 for p90, 662 for p99."""
    runs = 1
    while allowed_overlatency(runs, SHARE[percentile]) < 1:
        runs += 1
    return runs


def bound(samples: Samples, percentile: Percentile) -> float | None:
    """The percentile as MLPerf would report it, in the unit of the samples; None with too few."""
    allowed = allowed_overlatency(len(samples), SHARE[percentile])
    if allowed < 1:
        return None
    return float(np.sort(np.asarray(samples, np.float64))[len(samples) - allowed])
