import gc
from collections.abc import Callable

import pytest

from edgesmith.bench import timing


class Clock:
    """A clock that only the timed call moves on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = 0
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.now_ns / 1e9)
        monkeypatch.setattr(timing.time, "perf_counter_ns", lambda: self.now_ns)

    def call(self, milliseconds: Callable[[int], float]) -> Callable[[], None]:
        runs = 0

        def call() -> None:
            nonlocal runs
            self.now_ns += int(milliseconds(runs) * 1e6)
            runs += 1

        return call


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_warm_up_ends_after_two_equal_windows(clock: Clock) -> None:
    warm = timing.warm_up(clock.call(lambda run: 20), max_seconds=60)
    assert warm == (20, True)


def test_warm_up_goes_on_while_the_latency_falls(clock: Clock) -> None:
    # Windows of ten: 100, 90, 80, 20, 20 ms.
    falling = [100.0, 90.0, 80.0, 20.0, 20.0]
    warm = timing.warm_up(clock.call(lambda run: falling[run // 10]), max_seconds=60)
    assert warm == (50, True)


def test_warm_up_gives_up_in_time_and_says_so(clock: Clock) -> None:
    warm = timing.warm_up(clock.call(lambda run: 10 * 1.05**run), max_seconds=2)
    assert not warm.steady
    assert clock.now_ns < 2.5e9


def test_warm_up_runs_at_least_once(clock: Clock) -> None:
    assert timing.warm_up(clock.call(lambda run: 5000), max_seconds=1) == (1, False)


def test_sampling_takes_the_minimum_of_runs_and_of_time(clock: Clock) -> None:
    assert len(timing.sample(clock.call(lambda run: 100), 5, 0.1)) == 5
    assert len(timing.sample(clock.call(lambda run: 64), 5, 0.63)) == 10


def test_samples_are_in_order_and_in_milliseconds(clock: Clock) -> None:
    assert timing.sample(clock.call(lambda run: run + 1.0), 3, 0) == [1, 2, 3]


def test_settling_runs_are_not_counted(clock: Clock) -> None:
    assert timing.sample(clock.call(lambda run: run + 1.0), 2, 0, settle_seconds=0.005) == [4, 5]


def test_garbage_collector_is_back_after_the_measurement() -> None:
    with timing.collection_paused():
        assert not gc.isenabled()
    assert gc.isenabled()
