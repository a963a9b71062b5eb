import os
import sys
from pathlib import Path

import pytest

from benchmarks.serve import page
from benchmarks.serve.compare import Answer, Results, Run
from benchmarks.serve.process import run
from edgesmith.errors import DataError

HOLD = "import time; held = bytearray(40_000_000); time.sleep(0.6)"
PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {HOLD!r}])
{HOLD}
child.wait()
print("done")
"""


def test_memory_of_children_counts(tmp_path: Path) -> None:
    alone = run([sys.executable, "-c", HOLD], os.environ, tmp_path)
    both = run([sys.executable, "-c", PARENT], os.environ, tmp_path)
    assert alone.rss_mb > 40
    assert both.rss_mb > alone.rss_mb + 40
    assert both.pss_mb <= both.rss_mb
    assert both.output == "done\n"


def test_failure_says_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"status 1: (?s:.*)no such thing"):
        run([sys.executable, "-c", "raise SystemExit('no such thing')"], os.environ, tmp_path)


def test_page_gives_ratios_to_the_peer() -> None:
    def answer(command: str, fps: float, rss: float) -> Answer:
        one = Run(
            frames=10, fps=fps, seconds=1.0, cpu_ms=5.0, rss_mb=rss, pss_mb=rss / 2, boxes=2.0
        )
        return Answer(form="onnx", command=command, what="fp32", runs=[one])

    results = Results(
        fingerprint={"cpu": "a CPU", "cores": "2"},
        versions={"ultralytics": "8"},
        video="a film",
        threads=1,
        answers=[answer("edgesmith serve", 120.0, 200.0), answer("yolo predict", 60.0, 900.0)],
    )
    ours, theirs = page.lines(results)[-2:]
    assert "**2.00** (2.00–2.00)" in ours and "| 200 | 100 |" in ours
    assert "**" not in theirs
