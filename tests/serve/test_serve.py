"""Whole sessions of the loop as real processes."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from edgesmith import cli_serve
from edgesmith.cli import app
from tests.detector import make_detector
from tests.imports import sources, tree_of
from tests.serve.running import Running
from tests.serve.systemd import Receiver

ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    """A detector that finds cells of one pure colour, as the synthetic source has them."""
    return make_detector(tmp_path / "artifacts/detector/onnx")


def _refused(*words: object, status: int = 1) -> str:
    result = CliRunner().invoke(app, ["serve", *map(str, words)])
    assert result.exit_code == status, result.output
    return result.stderr


def test_session_handles_every_frame_and_tells_systemd(detector: Path, tmp_path: Path) -> None:
    options = ["--source", "synthetic", "--frames", "40", "--fps", "80", "--every-frame"]
    with Receiver(tmp_path / "notify") as receiver:
        told = {"NOTIFY_SOCKET": receiver.address, "WATCHDOG_USEC": "200000"}
        with Running(detector, tmp_path, *options, "--every", "4", environment=told) as running:
            summary = running.end()
            assert running.indices() == list(range(40))
        words = "\n".join(receiver.take())
    assert words.index("READY=1") < words.index("WATCHDOG=1") < words.index("STOPPING=1")
    assert re.search(r"^STATUS=running: \d+ frames$", words, re.MULTILINE)
    assert summary["ended"] == "end of the source"
    assert (summary["frames"], summary["dropped"], summary["lost"]) == (40, 0, 0)
    assert summary["detected"] == 10
    assert summary["stages"]["infer"]["frames"] == 10
    assert summary["stages"]["latency"]["frames"] == 40
    assert not [part for part, count in summary["restarts"].items() if count]


def test_classifier_names_the_images_of_a_folder(artifact: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, colour in enumerate([(0, 0, 255), (0, 255, 0), (255, 0, 0)]):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((24, 32, 3), colour, np.uint8))
    with Running(artifact, tmp_path, "--source", str(folder), "--every-frame") as running:
        running.end()
        frames = [line["frame"] for line in running._lines() if "frame" in line]
    assert [frame["objects"][0]["label"] for frame in frames] == ["red", "green", "blue"]
    assert {frame["artifact"] for frame in frames} == {"tiny/onnx"}


def test_damaged_artifact_is_refused_with_its_reason(artifact: Path, tmp_path: Path) -> None:
    (artifact / "model.onnx").write_bytes(b"damaged")
    with Running(artifact, tmp_path, "--source", "synthetic") as running:
        running.end(status=1)
        words = running.words
    assert "model.onnx: its content does not match contract.json" in words[-1]


def test_fallback_is_verified_before_it_is_needed(artifact: Path, tmp_path: Path) -> None:
    missing = tmp_path / "gone"
    options = ["--source", "synthetic", "--fallback", str(missing)]
    with Running(artifact, tmp_path, *options) as running:
        running.end(status=1)
        assert f"{missing}/contract.json: cannot be read" in running.words[-1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--source", "gone.mp4"], "gone.mp4: no such file"),
        (["--source", "synthetic", "--every", "often"], "--every often: neither a number nor"),
        (["--source", "synthetic", "--every", "0"], "every must be 1 or more"),
        (["--source", "synthetic", "--size", "big"], "--size big: not a width and a height"),
        (["--source", "synthetic", "--size", "9x9"], "width: Input should be greater"),
        (["--source", "synthetic", "--hang-after", "0"], "--hang-after: Input should be greater"),
        (["--source", "synthetic", "--threshold", "2"], "--threshold: Input should be less"),
        (["--source", "rtsp://host/a", "--fast"], "a stream does not wait"),
    ],
)
def test_option_that_cannot_be_is_named(options: list[str], words: str, tmp_path: Path) -> None:
    assert words in _refused(tmp_path, *options)


def test_lines_on_standard_output_end_with_the_summary(artifact: Path) -> None:
    options = ["--source", "synthetic", "--frames", "3", "--every-frame", "--jsonl", "-"]
    command = [sys.executable, "-m", "edgesmith", "serve", str(artifact), *options]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["frame"]["index"] for line in lines if "frame" in line] == [0, 1, 2]
    assert lines[-1]["summary"]["frames"] == 3


def test_signal_that_the_caller_ignores_stays_ignored() -> None:
    before = {number: signal.getsignal(number) for number in ASKING}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        stopped = cli_serve._stopped()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN and not stopped()
        signal.raise_signal(signal.SIGTERM)
        assert stopped()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_help_is_grouped_and_has_examples() -> None:
    text = CliRunner().invoke(app, ["serve", "--help"]).stdout
    headings = ["Arguments:", "Options:", "Source:", "Outputs:", "Watchdog and heat:"]
    assert all(f"\n{heading}\n" in text for heading in headings)
    assert "--source /dev/video0" in text


def _own(path: str) -> bool:
    return path.startswith("edgesmith/serve/") and "/outputs/" not in path


@pytest.mark.parametrize("path", [path for path in sources() if _own(path)])
def test_no_interval_depends_on_the_wall_clock(path: str) -> None:
    """Somebody sets the clock: `time.time()` may be recorded and never compared."""
    text = (Path(__file__).parents[2] / path).read_text()
    assert "time.time()" not in text and "datetime" not in text
    reads = text.count("time.time_ns()")
    assert reads == (1 if path == "edgesmith/serve/capture.py" else 0)
    assert tree_of(path)


def test_no_shared_memory_has_a_name() -> None:
    assert not list(Path("/dev/shm").glob("*edgesmith*"))
