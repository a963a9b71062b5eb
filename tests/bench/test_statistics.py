import math

import numpy as np
import pytest

from edgesmith.bench import statistics as stats


def test_percentiles_of_one_to_hundred() -> None:
    latency = stats.latency(list(range(1, 102)))
    assert latency == (51, 91, 100, 51)


def test_median_interval_uses_the_ranks_of_the_sign_test() -> None:
    # n = 20: P(X <= 5) = 2.07 %, P(X <= 6) = 5.77 %; so the 6th value from either end.
    assert stats.median_interval(list(range(1, 21))) == (6, 15)


def test_median_interval_of_few_samples_is_their_range() -> None:
    assert stats.median_interval([3, 1, 2]) == (1, 3)
    assert stats.median_interval([7]) == (7, 7)


def test_median_interval_of_many_samples_does_not_underflow() -> None:
    low, high = stats.median_interval(np.arange(10_000.0))
    assert low == pytest.approx(4999.5 - 98, abs=2)
    assert high == pytest.approx(4999.5 + 98, abs=2)


def test_rounds_that_disagree_widen_the_interval_of_the_median() -> None:
    calm = [[1.0, 1.1, 1.2] * 50] * 4
    assert stats.rounds_median_interval(calm) == (1.1, 1.1)
    low, high = stats.rounds_median_interval([[1.0] * 150, [2.0] * 150, [1.0] * 150, [2.0] * 150])
    assert (low, high) == (1, 2)


@pytest.mark.parametrize("count", [3, 6])
def test_interval_over_few_rounds_holds_the_truth_as_often_as_it_says(count: int) -> None:
    random = np.random.default_rng(1)
    held = 0
    for _ in range(100):
        levels = random.normal(1, 0.02, count)
        low, high = stats.rounds_median_interval(
            [level + random.normal(0, 0.01, 40) for level in levels]
        )
        held += low <= 1 <= high
    assert held >= 92


def test_one_round_has_the_interval_of_its_runs() -> None:
    samples = list(range(1, 21))
    assert stats.rounds_median_interval([samples]) == stats.median_interval(samples)


def test_ratio_is_the_geometric_mean_with_students_interval() -> None:
    ratio, interval = stats.ratio_interval([1.0, 4.0])
    assert ratio == pytest.approx(2)
    # Two logarithms at distance log 4: standard error log(4) / 2, one degree of freedom.
    assert interval.high == pytest.approx(2 * math.exp(12.706 * math.log(4) / 2))
    assert interval.low * interval.high == pytest.approx(4)


def test_one_round_gives_no_width() -> None:
    assert stats.ratio_interval([1.5]) == (pytest.approx(1.5), pytest.approx((1.5, 1.5)))


def test_more_rounds_than_the_table_use_the_normal_quantile() -> None:
    ratio, interval = stats.ratio_interval([1.0, 1.1] * 30)
    assert interval.low < ratio < interval.high


def test_halves_differ_by_more_than_five_percent() -> None:
    assert not stats.halves_differ([1.0] * 10 + [1.04] * 10)
    assert stats.halves_differ([1.0] * 10 + [1.06] * 10)
    assert stats.halves_differ([1.06] * 10 + [1.0] * 10)
    assert stats.halves_differ([1.0])


def test_rounds_that_agree_are_not_noisy() -> None:
    rounds = [[1.0, 1.01, 1.3] * 10, [1.01, 1.02, 1.2] * 10] * 5
    assert not stats.is_noisy(rounds)
    assert stats.expected_difference(rounds) < 0.02


def test_rounds_that_move_are_noisy_even_if_the_halves_agree() -> None:
    assert stats.is_noisy([[1.0] * 30, [1.2] * 30] * 5)


def test_median_that_drifts_by_more_than_three_percent_is_noisy() -> None:
    assert stats.is_noisy([[1.0] * 30] * 5 + [[1.04] * 30] * 5)


def test_one_round_is_judged_by_its_halves() -> None:
    assert not stats.is_noisy([[1.0] * 10 + [1.02] * 10])
    assert stats.is_noisy([[1.0] * 10 + [1.04] * 10])


def test_cells_that_are_not_marked_repeat_themselves() -> None:
    random = np.random.default_rng(0)

    def rounds() -> list[np.ndarray]:
        return [level + random.normal(0, 0.01, 40) for level in random.normal(1, 0.01, 6)]

    pairs = [(rounds(), rounds()) for _ in range(100)]
    calm = [pair for pair in pairs if not any(map(stats.is_noisy, pair))]
    apart = [abs(np.subtract(*(np.median(np.concatenate(one)) for one in pair))) for pair in calm]
    assert len(calm) > 30 and max(apart) < stats.REPEATS_WITHIN


def test_expected_difference_is_that_of_two_measurements_of_one_thing() -> None:
    random = np.random.default_rng(0)

    def rounds() -> list[np.ndarray]:
        return [level + random.normal(0, 0.01, 40) for level in random.normal(1, 0.02, 20)]

    expected = float(np.mean([stats.expected_difference(rounds()) for _ in range(20)]))
    medians = [np.median(np.concatenate(rounds())) for _ in range(2000)]
    seen = np.percentile(np.abs(np.diff(medians)), 99)
    assert expected == pytest.approx(seen, rel=0.35)
