from pathlib import Path
from typing import Any

import pytest

from edgesmith.bench import record
from edgesmith.bench.measure import Loadable, Settings
from edgesmith.errors import RuntimeUnavailableError
from edgesmith.runtime_table.measure import Subject, measure_runtimes

QUICK = Settings(rounds=3, min_runs=5, min_seconds=0.01, max_warmup_seconds=0.3)
WHERE = {"device": "host", "fingerprint": "0123456789ab"}
SLOW = Subject("slow", "fp32", "waiting", Loadable(Path("models/slow"), "tests.bench.subject"))


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for child in value.values() for leaf in _leaves(child)]
    return [value]


def test_all_are_compared_with_the_first(artifact: Path, tmp_path: Path) -> None:
    fast = Subject("tiny", "int8", "", Loadable(artifact))
    measured = measure_runtimes(
        {"slow": SLOW, "again": SLOW, "fast": fast}, QUICK, not_built={"x": "no"}, **WHERE
    )
    assert measured.reference == "slow" and list(measured.cells) == ["slow", "again", "fast"]
    first, again, last = measured.cells.values()
    assert first.speedup == 1 and again.speedup == pytest.approx(1, rel=0.3)
    ratio = first.latency_ms.p50 / last.latency_ms.p50
    assert last.speedup > 5 and last.speedup == pytest.approx(ratio, rel=0.5)
    assert last.speedup_ci95.low < last.speedup < last.speedup_ci95.high
    assert (first.runtime, first.mode, last.precision) == ("waiting 1", "waiting", "int8")
    assert all(cell.runs >= 15 and cell.rss_mb > 1 for cell in measured.cells.values())
    record.write(measured, tmp_path / "x.json")
    assert record.read_runtimes(tmp_path / "x.json") == measured
    flat = measured.model_dump(mode="json")
    assert all(isinstance(leaf, str | int | float | bool) for leaf in _leaves(flat))


def test_providers_of_one_network_are_its_own(artifact: Path) -> None:
    fast = Subject("tiny", "int8", "", Loadable(artifact, providers=("abacus",)))
    with pytest.raises(RuntimeUnavailableError, match="abacus"):
        measure_runtimes({"slow": SLOW, "fast": fast}, QUICK, not_built={}, **WHERE)
