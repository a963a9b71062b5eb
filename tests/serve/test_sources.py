"""Sources against real files and a real HTTP camera; none against a camera or libcamera itself."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgesmith.serve.errors import SourceError, SourceLostError
from edgesmith.serve.settings import Source
from edgesmith.serve.sources import picamera, stream
from edgesmith.serve.sources.open import open_source
from edgesmith.serve.sources.source import Frames
from tests.serve.camera import Camera

COLOURS = [(0, 0, 255), (0, 255, 0), (255, 0, 0), (90, 90, 90)]


def _open(kind: str, address: object = "", start: int = 0, **options: object) -> Frames:
    return open_source(Source(kind=kind, address=str(address), **options), start, 1.0)


def _all(source: Frames) -> list[np.ndarray]:
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    source.close()
    return frames


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, colour in enumerate(COLOURS):
        image = np.full((24, 32, 3), colour, np.uint8)
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    return tmp_path


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 12.5, (64, 48))
    for colour in COLOURS:
        writer.write(np.full((48, 64, 3), colour, np.uint8))
    writer.release()
    return path


def test_images_of_a_folder_are_bgr_and_in_order(folder: Path) -> None:
    assert [tuple(frame[0, 0]) for frame in _all(_open("folder", folder))] == COLOURS


def test_folder_goes_on_where_a_killed_process_was(folder: Path) -> None:
    assert [tuple(frame[0, 0]) for frame in _all(_open("folder", folder, 2))] == COLOURS[2:]


def test_image_that_is_gone_or_damaged_is_named_and_left_out(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = _open("folder", folder)
    (folder / "1.png").unlink()
    (folder / "2.png").write_bytes(b"\x89PNG nothing")
    assert len(_all(source)) == 2
    assert "1.png: cannot be read" in caplog.text and "2.png: truncated" in caplog.text


def test_folder_that_is_gone_is_an_error(folder: Path) -> None:
    with pytest.raises(SourceError, match="cannot be listed"):
        _open("folder", folder / "gone")


def test_video_gives_its_frames_and_its_pace(video: Path) -> None:
    source = _open("video", video)
    assert source.fps == 12.5
    frames = _all(source)
    assert len(frames) == 4
    assert np.abs(frames[1][0, 0].astype(int) - COLOURS[1]).max() < 12  # JPEG
    assert len(_all(_open("video", video, 3))) == 1
    assert _open("video", video, fps=5).fps == 5


def test_video_deleted_while_it_plays_plays_on(video: Path) -> None:
    source = _open("video", video)
    source.read()
    video.unlink()
    assert len(_all(source)) == 3


def test_file_that_is_no_video_says_how_to_make_one(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"not a video" * 100)
    with pytest.raises(SourceError, match=r"not a video that FFmpeg reads.*convert it"):
        _open("video", tmp_path / "film.mp4")


def test_synthetic_frames_depend_on_their_number_alone() -> None:
    source = _open("synthetic", width=64, height=48)
    frames = [source.read() for _ in range(30)]
    again = _open("synthetic", start=29, width=64, height=48).read()
    assert frames[0].shape == (48, 64, 3) and frames[0].dtype == np.uint8
    assert (again == frames[29]).all() and (frames[0] != frames[29]).any()
    for channel in range(3):  # each shape is of one pure colour
        pure = np.delete(frames[0], channel, axis=2).max(axis=2) == 0
        assert (frames[0][pure] == 255)[:, channel].any()


@pytest.fixture
def camera() -> Iterator[Camera]:
    with Camera() as found:
        yield found


def test_stream_that_ends_is_lost_and_can_be_had_again(camera: Camera) -> None:
    source = _open("stream", camera.url)
    assert source.read().shape == (48, 64, 3)
    camera.cut()
    with pytest.raises(SourceLostError, match="no more frames"):
        for _ in range(100):
            source.read()
    source.close()
    assert _open("stream", camera.url).read() is not None


def test_stream_that_stalls_is_lost(camera: Camera) -> None:
    source = _open("stream", camera.url)
    source.read()
    camera.stall()
    with pytest.raises(SourceLostError):
        for _ in range(100):
            source.read()


def test_stream_that_nobody_sends_may_come_later() -> None:
    with pytest.raises(SourceLostError, match=r"http://127.0.0.1:9/x: no stream there"):
        _open("stream", "http://user:secret@127.0.0.1:9/x")


def test_password_of_a_stream_is_not_told() -> None:
    told = stream.without_password("rtsp://me:w@rd@10.0.0.2:554/live?x=@")
    assert told == "rtsp://10.0.0.2:554/live?x=@"
    assert stream.without_password("rtsp://10.0.0.2/a@b") == "rtsp://10.0.0.2/a@b"


def test_slow_camera_has_more_time_between_two_frames(camera: Camera) -> None:
    assert _open("stream", camera.url, fps=0.5).patience_s == 6


def test_pi_camera_without_libcamera_says_what_to_install() -> None:
    with pytest.raises(SourceError, match=r"not available: no Picamera2.*python3-picamera2"):
        _open("picamera")


def test_pipeline_of_gstreamer_keeps_the_newest_frame() -> None:
    found = picamera.pipeline(640, 480, None)
    assert "libcamerasrc" in found and "width=640,height=480,framerate=30/1" in found
    assert "drop=true max-buffers=1" in found
