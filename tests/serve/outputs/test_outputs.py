import json
import logging
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgesmith.preprocess import UInt8Array
from edgesmith.serve.outputs import window
from edgesmith.serve.outputs.behind import Behind
from edgesmith.serve.outputs.lines import JsonLines
from edgesmith.serve.outputs.metrics import Metrics
from edgesmith.serve.outputs.output import OutputError, Outputs
from edgesmith.serve.outputs.overlay import Overlay, annotate, figures
from edgesmith.serve.outputs.video import Video
from edgesmith.serve.result import Result, Seen, Status
from tests.serve.outputs.frames import CAR, LABELS, picture, result, status


class Kept:
    """An output that remembers, and fails where it is told to."""

    def __init__(self, fails: type[Exception] | None = None) -> None:
        self.fails = fails
        self.frames: list[int] = []
        self.closed = False

    def put(self, image: UInt8Array, result: Result, status: Status) -> None:
        if self.fails:
            raise self.fails("broken")
        self.frames.append(result.index)

    def close(self) -> None:
        self.closed = True
        if self.fails:
            raise self.fails("broken")


def test_output_that_fails_stops_no_other_and_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken, kept = Kept(OSError), Kept()
    outputs = Outputs([broken, kept])
    for number in range(5):
        outputs.put(picture(), result(number), status())
    outputs.close()
    assert kept.frames == [0, 1, 2, 3, 4] and kept.closed and broken.closed
    assert outputs.failures == {"Kept": 6}
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_output_behind_a_queue_drops_the_oldest_and_writes_the_rest() -> None:
    entered, go_on = threading.Event(), threading.Event()

    class Slow(Kept):
        def put(self, image: UInt8Array, result: Result, status: Status) -> None:
            entered.set()
            go_on.wait(10)
            super().put(image, result, status)

    slow = Slow()
    behind = Behind(slow, depth=2)
    behind.put(picture(), result(0), status())
    assert entered.wait(10)  # frame 0 has left the queue
    for number in range(1, 5):
        behind.put(picture(), result(number), status())
    go_on.set()
    behind.close()
    assert slow.frames == [0, 3, 4] and behind.dropped == 2 and slow.closed


def test_behind_keeps_its_own_copy_of_the_frame() -> None:
    seen: list[int] = []

    class Look(Kept):
        def put(self, image: UInt8Array, result: Result, status: Status) -> None:
            seen.append(int(image.max()))

    behind, frame = Behind(Look()), picture()
    behind.put(frame, result(), status())
    frame[:] = 255
    behind.close()
    assert seen == [128]


@pytest.mark.parametrize("size", [(40, 30), (320, 240), (1920, 1080)])
def test_overlay_leaves_the_frame_alone_whatever_its_size(size: tuple[int, int]) -> None:
    frame = picture(*size)
    drawn = annotate(frame, result(), status(step="model on every 3rd frame"), LABELS)
    assert (frame == 128).all()
    assert drawn.shape == frame.shape and (drawn != 128).any()


def test_overlay_shows_state_and_names_of_what_a_classifier_says() -> None:
    plain = annotate(picture(), result(objects=()), status(), LABELS)
    cooling = annotate(picture(), result(objects=()), status("cooling"), LABELS)
    answer = annotate(picture(), result(objects=(Seen(2, 0.8),)), status(), LABELS)
    assert (plain != cooling).any() and (plain != answer).any()
    assert (plain[:150] == answer[:150]).all()  # no box: the bar alone tells it


def test_bar_is_plain_text() -> None:
    words = figures(result(), status(step="every 2nd frame at 76 °C → 256 px"))
    assert words[-1] == "every 2nd frame at 76 C ? 256 px" and words[:3] == [
        "24.5 FPS",
        "10 ms",
        "62 C",
    ]


def test_label_that_the_artifact_does_not_name_is_drawn_all_the_same() -> None:
    annotate(picture(), result(objects=(CAR._replace(label=9),)), status(), LABELS)


def test_frame_is_drawn_once_for_all_outputs() -> None:
    overlay, frame = Overlay(LABELS), result()
    first = overlay.draw(picture(), frame, status())
    assert overlay.draw(picture(), frame, status()) is first
    assert overlay.draw(picture(), result(1), status()) is not first


def test_lines_hold_frames_and_status(tmp_path: Path) -> None:
    path = tmp_path / "seen.jsonl"
    lines = JsonLines(path, LABELS)
    lines.put(picture(), result(0), status())
    lines.put(picture(), result(1, ()), status())
    lines.put(picture(), result(2), status("cooling", temperature_c=None))
    found = [json.loads(line) for line in path.read_text().splitlines()]  # without close
    lines.close()
    assert [next(iter(line)) for line in found] == ["status", "frame", "frame", "status", "frame"]
    assert found[1]["frame"]["objects"][0]["label"] == "car"
    assert found[0]["status"]["temperature_c"] == 61.5
    assert "temperature_c" not in found[3]["status"]


def test_lines_are_rotated_by_size(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "seen.jsonl", LABELS, rotate_mb=0.002, keep=2)
    for number in range(40):
        lines.put(picture(), result(number), status())
    lines.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["seen.jsonl", "seen.jsonl.1", "seen.jsonl.2"]
    for path in tmp_path.iterdir():
        assert path.stat().st_size <= 2000
        assert all(json.loads(line) for line in path.read_text().splitlines())
    assert '"index":39' in (tmp_path / "seen.jsonl").read_text()


def test_lines_to_a_full_disk_fail_loudly() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    lines = JsonLines(Path("/dev/full"), LABELS, rotate_mb=0)
    with pytest.raises(OSError, match="No space left"):
        lines.put(picture(), result(), status())


def test_lines_into_a_folder_that_is_not_there_name_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="name a file in a folder that is there"):
        JsonLines(tmp_path / "no" / "seen.jsonl", LABELS)


def test_lines_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    lines = JsonLines(None, LABELS)
    lines.put(picture(), result(), status())
    lines.close()
    assert [next(iter(json.loads(x))) for x in capsys.readouterr().out.splitlines()] == [
        "status",
        "frame",
    ]


def test_metrics_count_stages_objects_and_state() -> None:
    metrics = Metrics(LABELS)
    assert b"edgesmith_fps" not in metrics.text()  # nothing has finished: absent, not 0
    for number in range(3):
        metrics.put(
            picture(), result(number), status("degraded", frames=3, restarts={"capture": 2})
        )
    text = metrics.text().decode()
    for line in (
        "edgesmith_fps 24.5",
        "edgesmith_frames_total 3.0",
        "edgesmith_dropped_total 3.0",
        'edgesmith_state{state="degraded"} 1.0',
        'edgesmith_state{state="running"} 0.0',
        'edgesmith_restarts_total{part="capture"} 2.0',
        'edgesmith_seen_total{label="car"} 3.0',
        'edgesmith_stage_seconds_count{stage="infer"} 3.0',
        'edgesmith_stage_seconds_bucket{le="0.01",stage="infer"} 3.0',
        'edgesmith_stage_seconds_bucket{le="0.005",stage="infer"} 0.0',
        "edgesmith_temperature_celsius 61.5",
        'edgesmith_artifact{artifact="yolo26n-qat/ncnn"} 1.0',
    ):
        assert line in text.splitlines()
    metrics.put(picture(), result(), status(temperature_c=None))
    assert "edgesmith_temperature" not in metrics.text().decode()


def test_window_without_a_display_names_the_remedy() -> None:
    headless = "  GUI: NONE\n"
    assert "pip install opencv-python" in window.unavailable({"DISPLAY": ":0"}, headless)
    desktop = "  GUI:                           QT5\n"
    assert "use --http" in window.unavailable({}, desktop)
    assert window.unavailable({"WAYLAND_DISPLAY": "wayland-0"}, desktop) == ""
    assert window.unavailable({}, "  GUI: COCOA\n") == ""


def test_window_of_this_opencv_opens_or_says_why() -> None:
    if "GUI:                           NONE" not in cv2.getBuildInformation():
        pytest.skip("this OpenCV has windows")
    with pytest.raises(OutputError, match="opencv-python-headless"):
        window.Window(Overlay(LABELS))


def test_display_that_does_not_answer_is_said_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Qt ends the process in that case, and an OpenCV without windows raises: both have happened in
    # the process that tries it out.
    monkeypatch.setattr(window, "unavailable", lambda *_: "")
    monkeypatch.setenv("DISPLAY", ":4242")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(OutputError, match=r"no window can be opened .*use --http"):
        window.Window(Overlay(LABELS))


def frames_of(path: Path) -> list[UInt8Array]:
    """All frames of a video file, as a reader finds them."""
    video = cv2.VideoCapture(str(path))
    frames = []
    while True:
        more, frame = video.read()
        if not more:
            return frames
        frames.append(np.asarray(frame, np.uint8))


@pytest.mark.parametrize("suffix", [".mkv", ".avi"])
def test_video_keeps_the_pace_of_its_source(tmp_path: Path, suffix: str) -> None:
    video = Video(tmp_path / f"run{suffix}", Overlay(LABELS), fps=10, least_free_bytes=0)
    for number in range(20):  # five frames a second for four seconds
        video.put(picture(), result(number, captured_s=100 + number / 5), status())
    video.put(picture(), result(20, captured_s=1000.0), status())  # away for a quarter of an hour
    video.close()
    frames = frames_of(tmp_path / f"run{suffix}")
    assert frames[0].shape == (240, 320, 3)
    assert len(frames) == 39 + 20  # a still of two seconds


def test_video_survives_a_clock_that_is_set_back(tmp_path: Path) -> None:
    video = Video(tmp_path / "run.mkv", Overlay(LABELS), fps=10, least_free_bytes=0)
    for number in range(10):
        video.put(picture(), result(number, captured_s=1000 + number / 10), status())
    for number in range(10):
        video.put(picture(), result(number, captured_s=5 + number / 10), status())
    video.close()
    assert len(frames_of(tmp_path / "run.mkv")) == 19


def test_video_goes_on_in_a_new_file_and_overwrites_none(tmp_path: Path) -> None:
    for _ in range(2):
        video = Video(tmp_path / "run.mkv", Overlay(LABELS), fps=10, part_s=1, least_free_bytes=0)
        for number in range(15):
            video.put(picture(), result(number, captured_s=number / 10), status())
        video.close()
    counts = {path.name: len(frames_of(path)) for path in tmp_path.iterdir()}
    assert counts == {"run.mkv": 10, "run-2.mkv": 5, "run-3.mkv": 10, "run-4.mkv": 5}


def test_video_begins_anew_when_the_frames_change_their_size(tmp_path: Path) -> None:
    video = Video(tmp_path / "run.avi", Overlay(LABELS), fps=10, least_free_bytes=0)
    video.put(picture(320, 240), result(0, captured_s=0), status())
    video.put(picture(160, 120), result(1, captured_s=0.1), status())
    video.close()
    assert frames_of(tmp_path / "run-2.avi")[0].shape == (120, 160, 3)


def test_video_is_not_written_onto_a_disk_that_is_nearly_full(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    video = Video(tmp_path / "run.mkv", Overlay(LABELS), least_free_bytes=2**62)
    for number in range(3):
        video.put(picture(), result(number), status())
    video.close()
    assert not list(tmp_path.iterdir())
    assert len(caplog.records) == 1 and "MB are free" in caplog.text


def test_video_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"\.mkv .*\.avi"):
        Video(tmp_path / "run.mp4", Overlay(LABELS))


@pytest.mark.parametrize("suffix", [".mkv", ".avi"])
def test_video_of_a_killed_process_is_readable(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"run{suffix}"
    program = """
        import sys, time
        from pathlib import Path
        import numpy as np
        from edgesmith.serve.outputs.overlay import Overlay
        from edgesmith.serve.outputs.video import Video
        from tests.serve.outputs.frames import LABELS, result, status
        video = Video(Path(sys.argv[1]), Overlay(LABELS), fps=10, least_free_bytes=0)
        noise = np.random.default_rng(0)
        for number in range(100):
            frame = noise.integers(0, 256, (240, 320, 3), np.uint8)
            video.put(frame, result(number, captured_s=number / 10), status())
        print("written", flush=True)
        time.sleep(60)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), str(path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"written\n"
        process.send_signal(signal.SIGKILL)
    found = frames_of(path)
    # What FFmpeg's buffer held is lost: 1 MiB, of noise some twenty frames.
    assert 50 < len(found) <= 100 and found[0].shape == (240, 320, 3)
