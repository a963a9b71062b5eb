from fractions import Fraction
from math import comb

import numpy as np
import pytest

from edgesmith.bench.early_stopping import allowed_overlatency, bound, fewest_runs


def test_fewest_runs_are_those_of_mlperf() -> None:
    assert fewest_runs("p90") == 64
    assert fewest_runs("p99") == 662


def test_no_over_latency_run_at_all_needs_459_runs_for_a_p99() -> None:
    # LoadGen's own value for t = 0: ceil(log(0.01) / log(0.99)).
    assert allowed_overlatency(458, 0.99) == -1
    assert allowed_overlatency(459, 0.99) == 0


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("runs", [50, 700, 3000])
def test_allowed_runs_are_the_quantile_of_the_binomial_distribution(
    runs: int, share: float
) -> None:
    # By exact integers: P(X = k) = C(n, k) (1 − p)^k p^(n − k).
    p = Fraction(str(share))
    below, expected = Fraction(0), -1
    for k in range(runs):
        below += comb(runs, k) * (1 - p) ** k * p ** (runs - k)
        if below >= Fraction(1, 100):
            break
        expected = k
    assert allowed_overlatency(runs, share) == expected


def test_many_runs_do_not_underflow_and_come_close_to_the_share() -> None:
    assert 9_700 < allowed_overlatency(100_000, 0.9) < 10_000


def test_with_the_fewest_runs_the_bound_is_the_slowest_of_them() -> None:
    assert bound(range(64), "p90") == 63
    assert bound(range(63), "p90") is None
    assert bound(range(662), "p99") == 661


def test_bound_covers_the_true_percentile_in_99_of_100_measurements() -> None:
    random = np.random.default_rng(0)
    bounds = [bound(random.uniform(size=300), "p90") for _ in range(2000)]
    covered = np.mean([value >= 0.9 for value in bounds if value is not None])
    assert 0.985 < covered < 1
    assert np.median(bounds) < 0.95


def test_order_of_the_samples_does_not_matter() -> None:
    assert bound([*range(500, 1000), *range(500)], "p90") == bound(range(1000), "p90")
