import numpy as np
import pytest

from edgesmith.serve import tally
from edgesmith.serve.tally import Tally


def _tally() -> Tally:
    return Tally(memoryview(bytearray(tally.BYTES)).cast("q"))


def test_percentiles_are_right_to_one_percent() -> None:
    counted = _tally()
    times = np.random.default_rng(0).lognormal(2, 1, 5000)
    for ms in times:
        counted.add({"infer": ms})
    found = counted.percentiles()["infer"]
    expected = [*np.percentile(times, [50, 90]), times.max()]
    assert found[1:] == pytest.approx(expected, rel=0.011)
    assert found.frames == 5000


def test_stages_are_counted_apart_and_absent_ones_not_at_all() -> None:
    counted = _tally()
    counted.add({"capture": 1.0, "latency": 50.0, "another": 3.0})
    counted.add({"capture": 1.0})
    found = counted.percentiles()
    assert {stage: times.frames for stage, times in found.items()} == {"capture": 2, "latency": 1}


@pytest.mark.parametrize("ms", [0.0, -1.0, 1e9])
def test_times_off_the_scale_are_counted_at_its_ends(ms: float) -> None:
    counted = _tally()
    counted.add({"wait": ms})
    assert counted.percentiles()["wait"].frames == 1
