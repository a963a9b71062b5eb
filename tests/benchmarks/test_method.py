"""The comparisons of the measuring method, each on a tiny network: what they measure, not how long.

No figure of them decides a test.
"""

from pathlib import Path

import pytest

from benchmarks.native import compare as native
from benchmarks.page import replace_section
from benchmarks.recorder import compare as recorder
from benchmarks.repeat import compare as repeat
from benchmarks.resolution import trial
from edgesmith.bench.measure import measure_pair
from edgesmith.bench.process import Settings
from edgesmith.device.sensors.find import Sensors
from edgesmith.intervals import Interval
from tests.artifacts import make_artifact

QUICK = Settings(rounds=2, min_runs=5, min_seconds=0.01, max_warmup_seconds=0.1)
NONE = Sensors(absent=dict.fromkeys(("temperature", "clock", "throttling", "power"), "none"))


@pytest.mark.slow
def test_bare_loops_run_the_same_network(artifact: Path) -> None:
    rows = native.compare(artifact, QUICK)
    assert [row.loop for row in rows] == list(native.LOOPS["onnx"])
    assert all(row.ours_ms > 0 and row.loop_ms > 0 and row.warmup_runs for row in rows)
    assert all(row.interval.low <= row.ratio <= row.interval.high for row in rows)
    assert [text[3] for text in native.texts(rows)] == ["`onnx_run`", "`onnx_binding`"]


@pytest.mark.slow
def test_slowed_copy_and_plain_copy_are_told_by_their_intervals(artifact: Path) -> None:
    found = trial.run(artifact, QUICK)
    assert found.seen == trial.excludes_one(found.slowed_interval)
    assert trial.excludes_one(Interval(1.01, 1.09)) and not trial.excludes_one(Interval(0.99, 1.1))
    assert trial.row("tiny", [found])[0] == "tiny"


@pytest.mark.slow
def test_recorder_is_compared_pair_by_pair(artifact: Path) -> None:
    row = recorder.compare(artifact, QUICK, 2, NONE)
    assert row.artifact == "tiny.onnx" and row.interval.low <= row.ratio <= row.interval.high
    assert recorder.texts([row])[0][0] == "tiny.onnx"


def test_two_measurements_apart_are_counted_and_marks_kept(tmp_path: Path) -> None:
    path = make_artifact(tmp_path / "artifacts/tiny/onnx")
    where = {"device": "host", "fingerprint": "0" * 12}
    one = measure_pair(path, path, QUICK, **where, sensors=NONE)
    calm = one.model_copy(update={"noisy": False, "steady": True})
    slow = calm.model_copy(
        update={"latency_ms": calm.latency_ms.model_copy(update={"p50": calm.latency_ms.p50 * 1.1})}
    )
    noisy = calm.model_copy(update={"noisy": True})
    pairs = {
        "a": repeat.Pair(calm, calm),
        "b": repeat.Pair(calm, slow),
        "c": repeat.Pair(noisy, slow),
    }
    assert repeat.summary(pairs)[:2] == [
        "- Neither measurement marked: 2 of 3 cells, 1 of them within 3 %.",
        "- One or both marked: 1, 0 of them within 3 %.",
    ]
    assert [row[3] for row in repeat.rows(pairs)] == ["0.0 %", "10.0 %", "10.0 %"]


def test_section_of_a_page_is_replaced_and_the_rest_is_kept(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "before\n\n<!-- figures: written -->\n\nold\n\n<!-- end of figures -->\n\nafter\n"
    )
    replace_section(page, "figures", ["new"])
    text = page.read_text()
    assert "new" in text and "old" not in text
    assert text.startswith("before") and text.endswith("after\n")


def test_page_without_the_section_is_named(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing\n")
    with pytest.raises(Exception, match=r"page\.md"):
        replace_section(page, "figures", ["new"])
