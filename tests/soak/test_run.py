"""Real short runs of a tiny network; heat comes from a tree that the test heats."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from edgesmith.device.sensors.find import Sensors, find
from edgesmith.errors import DataError, RuntimeUnavailableError
from edgesmith.soak import rows, run, summary
from tests.device.sensors.trees import cpufreq, lay, no_tools

PLAN = run.Plan(minutes=0.6 / 60, interval_s=0.1)


def _heat(root: Path, celsius: float, mhz: int) -> None:
    lay(
        root,
        {"type": "cpu-thermal", "temp": round(1000 * celsius)},
        "sys/class/thermal/thermal_zone0",
    )
    cpufreq(root, current=1000 * mhz, allowed=1000 * mhz)


def test_heat_and_throttling_of_a_board_are_recorded(artifact: Path, tmp_path: Path) -> None:
    board = tmp_path / "board"
    _heat(board, 50, 2400)
    seen: list[rows.Row] = []

    def on_row(row: rows.Row) -> None:
        seen.append(row)
        _heat(board, 50 + 10 * len(seen), 2400 if len(seen) < 3 else 1500)

    found = run.soak(artifact, PLAN, find(board, run=no_tools), tmp_path / "out", on_row)
    recording = rows.read(tmp_path / "out")
    assert recording.rows == seen and len(seen) > 3
    assert seen[0].throttled is False and seen[-1].throttled is True
    assert seen[-1].throttle_reasons[-1] == "clock capped at 1500 of 2400 MHz"
    assert found.temperature_c_max is not None and found.temperature_c_max > 60
    assert found.throttled_share is not None and 0 < found.throttled_share < 1
    assert found.ended == "complete" and found.inferences == sum(row.inferences for row in seen)
    assert "no meter given" in recording.head.absent["power"]
    assert summary.read(tmp_path / "out") == found


def test_rows_follow_each_other_without_a_gap(artifact: Path, tmp_path: Path) -> None:
    run.soak(artifact, PLAN, Sensors(), tmp_path / "out")
    kept = rows.read(tmp_path / "out").rows
    assert sum(row.seconds for row in kept) == pytest.approx(kept[-1].elapsed_s, abs=0.01)
    assert all(row.rss_mb > 1 and row.p50_ms <= row.p99_ms for row in kept)


def test_used_folder_is_refused_before_anything_runs(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/soak.jsonl").write_text("")
    with pytest.raises(DataError, match="holds a soak run already"):
        run.soak(artifact, PLAN, Sensors(), tmp_path / "out")


def test_interruption_ends_the_run_with_a_summary(artifact: Path, tmp_path: Path) -> None:
    def on_row(row: rows.Row) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    found = run.soak(artifact, PLAN, Sensors(), tmp_path / "out", on_row)
    assert found.ended == "interrupted" and (tmp_path / "out/summary.json").is_file()


def test_death_of_the_worker_leaves_rows_and_a_summary_that_names_it(
    artifact: Path, tmp_path: Path
) -> None:
    def on_row(row: rows.Row) -> None:
        for child in psutil.Process().children():
            child.kill()

    with pytest.raises(RuntimeUnavailableError, match="SIGKILL"):
        run.soak(artifact, PLAN, Sensors(), tmp_path / "out", on_row)
    assert "SIGKILL" in summary.read(tmp_path / "out").ended
    assert len(rows.read(tmp_path / "out").rows) == 1


def test_killed_run_leaves_readable_rows_and_no_process(artifact: Path, tmp_path: Path) -> None:
    code = "from edgesmith.cli import app; app()"
    out = tmp_path / "out"
    options = ["--minutes", "5", "--interval", "0.1", "--out", str(out)]
    running = subprocess.Popen(
        [sys.executable, "-c", code, "soak", str(artifact), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 60
    while not (out / rows.NAME).is_file() or len(rows.read(out).rows) < 2:
        assert time.monotonic() < end and running.poll() is None
        time.sleep(0.02)
    workers = psutil.Process(running.pid).children()
    running.kill()
    running.wait()
    assert len(workers) == 1 and not psutil.wait_procs(workers, timeout=20)[1]
    assert len(rows.read(out).rows) >= 2 and not (out / summary.NAME).exists()
