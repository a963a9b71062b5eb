from pathlib import Path

from benchmarks.events.__main__ import commits, puts


def test_every_kind_of_commit_is_measured_on_a_real_log(tmp_path: Path) -> None:
    found = commits(tmp_path, "full", 5, 3)
    assert found["events_per_s"] > 0 and found["commit_ms_p99"] >= found["commit_ms_p50"] > 0


def test_what_put_costs_is_measured_for_both(tmp_path: Path) -> None:
    found = puts(tmp_path, 5)
    assert set(found) == {"events", "http"} and min(found.values()) > 0
