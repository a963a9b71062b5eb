"""What a list of latencies says, and how sure it is (numpy only)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgesmith.intervals import Z95, Interval

Samples = Sequence[float] | npt.NDArray[np.float64]


class _Confidence(NamedTuple):
    """Share of measurements that an interval of this kind is to hold, and its quantiles.

    Two-sided ones: of the normal distribution, and of Student's t for 1 … 30 degrees of freedom.
    """

    share: float
    normal: float
    student: tuple[float, ...]

    def quantile(self, freedom: int) -> float:
        return self.student[freedom - 1] if freedom <= len(self.student) else self.normal


_95 = _Confidence(
    0.95,
    Z95,
    (
        *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
        *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
        *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
    ),
)
_99 = _Confidence(
    0.99,
    2.575829,
    (
        *(63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169),
        *(3.106, 3.055, 3.012, 2.977, 2.947, 2.921, 2.898, 2.878, 2.861, 2.845),
        *(2.831, 2.819, 2.807, 2.797, 2.787, 2.779, 2.771, 2.763, 2.756, 2.750),
    ),
)

# Two halves of one measurement whose medians differ by more are not one measurement.
NOISY_HALVES = 0.05
# Two measurements of one artifact should give the same p50 within this share of it.
REPEATS_WITHIN = 0.03


class Latency(NamedTuple):
    """Percentiles and mean of one set of samples, in its unit."""

    p50: float
    p90: float
    p99: float
    mean: float


def latency(samples: Samples) -> Latency:
    """Percentiles (linear between order statistics) and mean."""
    p50, p90, p99 = np.percentile(np.asarray(samples, np.float64), [50, 90, 99])
    return Latency(float(p50), float(p90), float(p99), float(np.mean(samples)))


def median_interval(samples: Samples) -> Interval:
    """95 % interval of the median from order statistics, whatever the distribution.

    The ranks are those whose binomial(n, 1/2) coverage is at least 95 %; with fewer than 6 samples
    no pair of ranks reaches it and the whole range is given.
    """
    return _median_interval(samples, _95)


def _median_interval(samples: Samples, confidence: _Confidence) -> Interval:
    ordered = np.sort(np.asarray(samples, np.float64))
    count = len(ordered)
    # Largest k with P(X < k) = P(X <= k - 1) <= half of what is left out (2.5 % of 95 %),
    # X ~ binomial(n, 1/2), in logarithms so that thousands of samples do not underflow.
    log_half = count * math.log(0.5)
    tail, rank = 0.0, 0
    for k in range(count // 2):
        log_choose = math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
        tail += math.exp(log_choose + log_half)
        if tail > (1 - confidence.share) / 2:
            break
        rank = k + 1
    rank = max(rank, 1)
    return Interval(float(ordered[rank - 1]), float(ordered[count - rank]))


def rounds_median_interval(rounds: Sequence[Samples]) -> Interval:
    """95 % interval of the median of all runs of several rounds.

    Runs of one round share the clock and the neighbours of their moment: a thousand runs in five
    rounds know less than a thousand independent ones. On a busy machine `median_interval` alone
    gave ±3 % where the next measurement was 20 % away. So rounds are drawn too (block bootstrap,
    1,000 draws, fixed seed), and the wider of the two intervals counts.

    Draws from few rounds spread too little: from six, such intervals held the truth in 89 of 100
    simulations. They are widened as Student's t is wider than the normal, and by √(n / (n - 1)).
    """
    return _rounds_median_interval(rounds, _95)


def _rounds_median_interval(rounds: Sequence[Samples], confidence: _Confidence) -> Interval:
    together = np.concatenate([np.asarray(samples) for samples in rounds])
    every = _median_interval(together, confidence)
    random = np.random.default_rng(0)
    medians = [
        np.median(np.concatenate([rounds[index] for index in drawn]))
        for drawn in random.integers(0, len(rounds), (1000, len(rounds)))
    ]
    outside = 50 * (1 - confidence.share)
    low, high = np.percentile(medians, [outside, 100 - outside])
    count = len(rounds)
    if count > 1:
        middle = float(np.median(together))
        wider = confidence.quantile(count - 1) / confidence.normal * math.sqrt(count / (count - 1))
        # No further than what was seen: there is no latency below zero.
        low = max(middle - wider * (middle - low), float(together.min()))
        high = min(middle + wider * (high - middle), float(together.max()))
    return Interval(min(every.low, float(low)), max(every.high, float(high)))


def ratio_interval(ratios: Samples) -> tuple[float, Interval]:
    """Geometric mean of the ratios of several rounds, and its 95 % interval (t on logarithms).

    One round says nothing about its own spread: the interval is then the value itself, and the
    caller says so by giving the number of rounds.
    """
    logarithms = np.log(np.asarray(ratios, np.float64))
    centre = float(np.mean(logarithms))
    count = len(logarithms)
    if count == 1:
        return math.exp(centre), Interval(math.exp(centre), math.exp(centre))
    half = _95.quantile(count - 1) * float(np.std(logarithms, ddof=1)) / math.sqrt(count)
    return math.exp(centre), Interval(math.exp(centre - half), math.exp(centre + half))


def halves_differ(samples: Samples, by: float = NOISY_HALVES) -> bool:
    """Whether the medians of the first and the second half (in time) differ by more than 5 %."""
    if len(samples) < 2:
        return True
    half = len(samples) // 2
    first, second = float(np.median(samples[:half])), float(np.median(samples[half:]))
    return abs(first - second) > by * min(first, second)


def expected_difference(rounds: Sequence[Samples]) -> float:
    """How far apart the p50 of two such measurements may be, as a share of it (99 %).

    Half the width of the median's interval over rounds is so many standard errors; the difference
    of two measurements has √2 of them. 99 %, for a table has dozens of cells: of fifty at 95 % two
    or three would be further apart. It knows the changes within one measurement only: a neighbour
    who comes between two of them is not in it.
    """
    interval = _rounds_median_interval(rounds, _99)
    middle = float(np.median(np.concatenate([np.asarray(samples) for samples in rounds])))
    return math.sqrt(2) * (interval.high - interval.low) / 2 / middle


def is_noisy(rounds: Sequence[Samples]) -> bool:
    """Whether another measurement may give a p50 more than 3 % away.

    Too wide an interval over the rounds says so, and a median that moved by more than 3 % from the
    first half of the rounds to the second.
    """
    if len(rounds) < 2:
        return halves_differ(rounds[0], REPEATS_WITHIN)
    half = len(rounds) // 2
    first, second = (np.median(np.concatenate(part)) for part in (rounds[:half], rounds[half:]))
    moved = abs(first - second) > REPEATS_WITHIN * min(first, second)
    return bool(moved) or expected_difference(rounds) > REPEATS_WITHIN
