from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from edgesmith.bench import turns as turns_of
from edgesmith.bench.measure import Settings, measure_networks, measure_pair
from edgesmith.bench.process import Loadable
from edgesmith.bench.turns import take_turns
from edgesmith.device.sensors.find import Sensors
from edgesmith.device.sensors.recorder import Recorder
from edgesmith.device.sensors.source import Gauge, Watch
from edgesmith.errors import ContractError
from tests.artifacts import make_artifact

QUICK = Settings(rounds=4, min_runs=5, min_seconds=0.01, max_warmup_seconds=0.2)
WHERE = {"device": "host", "fingerprint": "0123456789ab"}


@contextmanager
def slowing(when: Callable[[int], bool]) -> Iterator[Recorder]:
    """A recorder that is asked before and after each round; `when` says in which looks it slows."""
    looks = 0

    def read() -> tuple[str, ...]:
        nonlocal looks
        looks += 1
        return ("hot",) if when(looks) else ()

    with Recorder(Sensors(throttling=(Watch("test", read),)), interval_s=600) as recorder:
        yield recorder


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_of, "COOL_DOWN_SECONDS", 0.0)
    monkeypatch.setattr(turns_of, "_POWER_SECONDS", 0.2)


def test_throttled_round_is_repeated_and_both_are_kept(artifact: Path) -> None:
    # Looks: one when recording begins, one before all rounds, then before and after each round.
    with slowing(lambda look: look == 6) as recorder:
        taken = take_turns([Loadable(artifact)], QUICK, recorder=recorder)
    assert (taken.throttling.rounds, taken.throttling.retried) == (1, 1)
    assert len(taken.samples_ms[0]) == 4
    assert [len(part) for part in taken.throttling.replaced_ms[0]] >= [16]


def test_machine_that_goes_on_throttling_is_tried_once_more_and_said_so(artifact: Path) -> None:
    with slowing(lambda look: look > 3) as recorder:
        taken = take_turns([Loadable(artifact)], QUICK, recorder=recorder)
    assert (taken.throttling.rounds, taken.throttling.retried) == (4, 0)
    assert len(taken.samples_ms[0]) == 4 and taken.throttling.replaced_ms == [[], []]
    assert taken.conditions[0].throttled


def test_record_says_what_throttled_and_what_the_machine_does_not_tell(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hot = ["hot"]
    watch = Watch("test", lambda: tuple(hot))
    monkeypatch.setattr(turns_of.time, "sleep", lambda seconds: hot.clear())
    sensors = Sensors(throttling=(watch,), governor="schedutil", absent={"power": "no meter"})
    measured = measure_pair(artifact, artifact, QUICK, **WHERE, sensors=sensors)
    assert (measured.throttled_rounds, measured.retried, measured.throttled) == (4, 4, False)
    assert measured.throttled_ms_p50 and 0 < measured.throttle_reasons["hot"] < 1
    assert measured.governor == "schedutil" and measured.absent["power"] == "no meter"
    assert measured.power_w is None and "power_w" not in measured.model_dump()


def test_power_is_that_of_the_network_alone_less_idle(artifact: Path) -> None:
    def draw() -> float:
        return 5.0 if psutil.Process().children() else 2.0

    sensors = Sensors(power=Gauge("test", draw))
    measured = measure_pair(artifact, artifact, QUICK, **WHERE, sensors=sensors)
    assert measured.power_w == pytest.approx(5) and measured.idle_power_w == pytest.approx(2)
    assert measured.energy_mj_per_frame and measured.fps_per_watt
    # 3 W above idle, and images per joule of the whole 5 W, over the same frames.
    assert measured.energy_mj_per_frame * measured.fps_per_watt == pytest.approx(
        1000 * 3 / 5, rel=0.01
    )


def test_rounds_have_the_runs_that_the_percentile_needs(artifact: Path) -> None:
    measured = measure_pair(artifact, artifact, QUICK, **WHERE)
    assert measured.runs >= 64 and measured.latency_ms_bound
    bound = measured.latency_ms_bound.p90
    assert bound and bound >= measured.latency_ms.p50
    assert QUICK._replace(percentile="p99").runs_per_round * QUICK.rounds >= 662


def test_rounds_that_disagree_are_followed_by_more_up_to_the_most(tmp_path: Path) -> None:
    (tmp_path / "wavering").write_text("fast")
    network = Loadable(tmp_path, by="tests.bench.subject")
    taken = take_turns([network], QUICK._replace(max_rounds=7))
    assert [len(rounds) for rounds in taken.samples_ms] == [7]
    assert len(taken.all_ms(0)) >= 7 * QUICK.min_runs


def test_further_rounds_end_when_they_agree_or_time_is_over() -> None:
    settings = QUICK._replace(max_rounds=7, max_seconds=0.1)
    calm, wavering = [[1.0] * 10], [[2.0] * 10]
    undecided = turns_of._undecided
    assert undecided([calm, wavering] * 2, settings, 1)
    assert not undecided([calm] * 4, settings, 1)
    assert not undecided([calm, wavering] * 4, settings, 1)
    assert not undecided([calm, wavering] * 2, settings._replace(max_seconds=0.05), 1)
    assert not undecided([calm, wavering] * 2, QUICK, 1)
    both = [[[1.0] * 10, [1.0] * 10], [[1.0] * 10, [2.0] * 10]] * 2
    assert undecided(both, settings, 2) and not undecided(both, settings, 1)


def test_time_that_is_over_is_said_and_no_percentile_is_stated(artifact: Path) -> None:
    short = QUICK._replace(percentile="p99", max_seconds=0.00001)
    measured = measure_pair(artifact, artifact, short, **WHERE)
    assert measured.runs == 8 and measured.stated == "p50"
    assert measured.absent["latency_ms_bound.p99"].startswith("8 runs of 662: the rounds ended")
    assert measured.model_dump()["latency_ms_bound"] == {}


def test_several_are_compared_with_the_one_that_is_named(tmp_path: Path) -> None:
    paths = [make_artifact(tmp_path / name, variant=name) for name in ("a", "b")]
    found = measure_networks([Loadable(path) for path in paths], 1, QUICK, **WHERE)
    assert [bench.variant for bench in found] == ["a", "b"]
    assert {bench.baseline for bench in found} == {"b"}
    assert found[1].speedup_vs_baseline == 1 and found[0].speedup_ci95.high > 0
    assert all(bench.end_to_end_runs and bench.end_to_end_runs >= 64 for bench in found)


def test_free_batch_takes_several_images_in_one_call(tmp_path: Path) -> None:
    free = make_artifact(tmp_path / "free", batch=-1)
    (eight,) = measure_networks([Loadable(free, batch=8)], 0, QUICK, **WHERE)
    assert eight.batch == 8 and eight.fps == pytest.approx(
        8 * 1000 / eight.latency_ms.mean, rel=0.01
    )


def test_fixed_batch_is_refused_with_the_remedy(artifact: Path) -> None:
    with pytest.raises(ContractError, match=r"export\.batch"):
        measure_networks([Loadable(artifact, batch=8)], 0, QUICK, **WHERE)
