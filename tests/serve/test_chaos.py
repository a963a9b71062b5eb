"""What hurts a loop in the field, done to real processes. Times are for benchmarks/recovery."""

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from edgesmith.files import write_text
from tests.artifacts import make_artifact
from tests.serve.camera import Camera
from tests.serve.running import Running, wait_until
from tests.serve.systemd import Receiver

pytestmark = pytest.mark.slow

COMPILER = shutil.which("cc")
RTSP_SERVER = ("/usr/bin/python3", str(Path(__file__).with_name("rtsp_server.py")))
PARTS = ("capture", "inference", "sink")
SYNTHETIC = ("--source", "synthetic", "--size", "64x48", "--fps", "60")
# A busy machine may stop a healthy process for longer than half a second; then it is replaced once
# more, which no test minds.
HASTY = ("--hang-after", "0.6", "--failures", "20")


def _gone(processes: list[psutil.Process]) -> bool:
    return all(
        not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
        for process in processes
    )


@pytest.mark.parametrize("hurt", [signal.SIGKILL, signal.SIGSTOP])
def test_part_that_dies_or_hangs_is_replaced_and_no_frame_is_lost(
    artifact: Path, tmp_path: Path, hurt: signal.Signals
) -> None:
    with Running(artifact, tmp_path, *SYNTHETIC, *HASTY, "--every-frame") as running:
        running.wait_for_frames(5)
        for part in PARTS:
            victim = running.part(part)
            victim.send_signal(hurt)
            running.wait_for_words(f"{part}: works again")
            assert _gone([victim])
            running.wait_for_frames(5)
        survivors = running.parts()
        summary = running.stop()
        assert _gone(survivors)
        # A frame that the sink was killed with is handed over again: twice, and never not at all.
        indices = running.indices()
    assert sorted(set(indices)) == list(range(max(indices) + 1))
    assert len(indices) - len(set(indices)) <= summary["restarts"]["sink"]
    assert all(summary["restarts"][part] >= 1 for part in PARTS)
    assert summary["lost"] == 0 and summary["ended"] == "stopped"


def test_newest_frame_wins_while_a_part_is_away(artifact: Path, tmp_path: Path) -> None:
    with Running(artifact, tmp_path, *SYNTHETIC, *HASTY) as running:
        running.wait_for_frames(5)
        running.part("inference").send_signal(signal.SIGSTOP)
        running.wait_for_words("inference: works again")
        running.wait_for_frames(20)
        summary = running.stop()
        indices = running.indices()
    assert indices == sorted(set(indices))
    # Half a second of 60 frames a second was not worked off afterwards.
    assert summary["dropped"] > 20
    assert summary["captured"] == summary["frames"] + summary["dropped"] + summary["lost"]


@pytest.mark.parametrize("frozen", [(), PARTS])
def test_parts_die_with_their_supervisor(
    artifact: Path, tmp_path: Path, frozen: tuple[str, ...]
) -> None:
    before = set(Path("/dev/shm").iterdir())
    with Running(artifact, tmp_path, *SYNTHETIC) as running:
        running.wait_for_frames(5)
        parts = running.parts()
        assert len(parts) == 3
        for part in frozen:
            running.part(part).send_signal(signal.SIGSTOP)
        running.process.kill()
        wait_until(lambda: _gone(parts))
    assert set(Path("/dev/shm").iterdir()) == before


def test_interrupt_ends_in_order_and_a_second_one_at_once(artifact: Path, tmp_path: Path) -> None:
    with Running(artifact, tmp_path, *SYNTHETIC, "--hang-after", "100") as running:
        running.wait_for_frames(5)
        parts = running.parts()
        running.part("sink").send_signal(signal.SIGSTOP)  # it will not end by itself
        running.process.send_signal(signal.SIGINT)
        wait_until(lambda: any("stopped" in line for line in running.words))
        running.process.send_signal(signal.SIGINT)
        begin = time.monotonic()
        running.process.wait(30)
        assert time.monotonic() - begin < 4  # less than the patience of an ordered end
        wait_until(lambda: _gone(parts))


@pytest.fixture
def camera() -> Iterator[Camera]:
    with Camera() as found:
        yield found


def test_stream_that_drops_is_looked_for_until_it_is_back(
    artifact: Path, tmp_path: Path, camera: Camera
) -> None:
    with Receiver(tmp_path / "notify") as receiver:
        told = {"NOTIFY_SOCKET": receiver.address, "WATCHDOG_USEC": "200000"}
        with Running(artifact, tmp_path, "--source", camera.url, environment=told) as running:
            running.wait_for_frames(5)
            camera.cut()  # the connection alone
            running.wait_for_words("source back")
            running.wait_for_frames(5)
            camera.close()  # the camera
            running.wait_for_words("no stream there; check address")
            receiver.take()
            wait_until(lambda: "WATCHDOG=1" in "\n".join(receiver.take()))
            with Camera(camera.port):
                wait_until(lambda: sum("source back" in line for line in running.words) == 2)
                running.wait_for_frames(5)
                summary = running.stop()
            assert "recovering" in "\n".join(running.words)
    # No part failed: a source that is gone is no fault of the process that reads it.
    assert not any(summary["restarts"].values())


def _has_rtsp_server() -> bool:
    try:
        command = [*RTSP_SERVER, "--check"]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        return False


@contextmanager
def _rtsp_server(port: int = 0) -> Iterator[tuple[subprocess.Popen[str], int]]:
    server = subprocess.Popen([*RTSP_SERVER, str(port)], stdout=subprocess.PIPE, text=True)
    try:
        yield server, int(server.stdout.readline())
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


@pytest.mark.skipif(
    not _has_rtsp_server(),
    reason="no RTSP server: apt install gir1.2-gst-rtsp-server-1.0 python3-gi "
    "gstreamer1.0-plugins-good",
)
def test_rtsp_camera_that_dies_or_freezes_is_looked_for(artifact: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        server, port = stack.enter_context(_rtsp_server())
        source = f"rtsp://127.0.0.1:{port}/live"
        running = stack.enter_context(Running(artifact, tmp_path, "--source", source))
        running.wait_for_frames(5)
        server.send_signal(signal.SIGSTOP)  # its connections stay and nothing comes
        running.wait_for_words("no more frames; looking for it")
        server.send_signal(signal.SIGCONT)
        running.wait_for_words("source back")
        running.wait_for_frames(5)
        server.kill()
        running.wait_for_words("no stream there")
        stack.enter_context(_rtsp_server(port))
        wait_until(lambda: sum("source back" in line for line in running.words) == 2)
        running.wait_for_frames(5)
        summary = running.stop()
    assert not any(summary["restarts"].values())


def test_artifact_that_rots_gives_way_to_the_fallback(artifact: Path, tmp_path: Path) -> None:
    spare = make_artifact(tmp_path / "artifacts/spare/onnx", variant="spare")
    options = (*SYNTHETIC, "--fallback", str(spare))
    with Running(artifact, tmp_path, *options) as running:
        running.wait_for_frames(5)
        (artifact / "model.onnx").write_bytes(b"damaged")
        running.part("inference").kill()
        running.wait_for_words("falling back")
        wait_until(lambda: "spare/onnx" in running.artifacts())
        running.wait_for_words("state: degraded")
        summary = running.stop()
    assert summary["degraded"] and summary["artifact"] == str(spare)
    assert summary["gave_up"] == ""


def test_loop_gives_up_on_a_part_that_keeps_failing(artifact: Path, tmp_path: Path) -> None:
    with Running(artifact, tmp_path, *SYNTHETIC, "--failures", "2") as running:
        running.wait_for_frames(5)
        parts = running.parts()
        running.part("sink").kill()
        running.wait_for_words("sink: works again")
        running.part("sink").kill()
        summary = running.end(status=3)
        assert _gone(parts)
    assert summary["gave_up"] == "sink: killed by SIGKILL"
    assert summary["frames"] >= 5


def test_loop_whose_every_part_is_stuck_feeds_no_watchdog(artifact: Path, tmp_path: Path) -> None:
    """The supervisor alone being alive is no progress."""
    with Receiver(tmp_path / "notify") as receiver:
        told = {"NOTIFY_SOCKET": receiver.address, "WATCHDOG_USEC": "200000"}
        options = (*SYNTHETIC, "--hang-after", "100")
        with Running(artifact, tmp_path, *options, environment=told) as running:
            running.wait_for_frames(5)
            for part in PARTS:
                running.part(part).send_signal(signal.SIGSTOP)
            time.sleep(0.5)
            receiver.take()
            time.sleep(1)
            assert "WATCHDOG=1" not in "\n".join(receiver.take())
            for part in running.parts():
                part.send_signal(signal.SIGCONT)
            wait_until(lambda: "WATCHDOG=1" in "\n".join(receiver.take()))


@pytest.mark.skipif(COMPILER is None, reason="no C compiler for the clock that jumps")
def test_clock_that_jumps_disturbs_nothing(artifact: Path, tmp_path: Path) -> None:
    library, shift = tmp_path / "clock.so", tmp_path / "shift"
    source = Path(__file__).with_name("clock.c")
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", library, source], check=True)
    shift.write_text("0")
    jumping = {"LD_PRELOAD": str(library), "CLOCK_SHIFT": str(shift)}
    with Running(artifact, tmp_path, *SYNTHETIC, environment=jumping) as running:
        running.wait_for_frames(5)
        for years in (10, -10):
            write_text(shift, str(years * 31_536_000))
            running.wait_for_frames(60)
        summary = running.stop()
        times = [line["frame"]["captured_s"] for line in running._lines() if "frame" in line]
    assert max(times) - min(times) > 6e8  # it did jump
    assert not any(summary["restarts"].values()) and summary["lost"] == 0
    assert summary["stages"]["latency"]["max_ms"] < 10_000
