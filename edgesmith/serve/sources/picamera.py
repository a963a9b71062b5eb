"""The Pi's camera on the ribbon cable: libcamera, through Picamera2 or GStreamer."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import cv2

from edgesmith.preprocess import UInt8Array
from edgesmith.serve.errors import SourceError, SourceLostError

_FPS = 30.0
_HOW = (
    "on Raspberry Pi OS: `sudo apt install python3-picamera2` and make the virtual environment "
    "with `--system-site-packages`; or an OpenCV with GStreamer (`python3-opencv` of the system) "
    "and `gstreamer1.0-libcamera`"
)


def open_picamera(width: int, height: int, fps: float | None) -> Picamera2Frames | GStreamerFrames:
    """The camera by what is installed; SourceError says what is missing and how to get it."""
    try:
        module = import_module("picamera2")
    except ImportError as error:
        reason = str(error)
    else:
        return Picamera2Frames(module, width, height, fps)
    if _has_gstreamer():
        return GStreamerFrames(width, height, fps)
    raise SourceError(
        f"picamera: not available: no Picamera2 ({reason}), and this OpenCV {cv2.__version__} is "
        f"built without GStreamer; {_HOW}"
    )


class Picamera2Frames:
    """By Picamera2, with two buffers: one shown, one filled."""

    fps: float | None = None
    patience_s = 1.0

    def __init__(self, module: Any, width: int, height: int, fps: float | None) -> None:
        """Start the first camera that libcamera knows."""
        if not module.Picamera2.global_camera_info():
            raise SourceLostError(
                "picamera: libcamera sees no camera; check the ribbon cable with the power off, "
                "and `rpicam-hello --list-cameras`"
            )
        self._camera = module.Picamera2()
        # libcamera's RGB888 is blue first in memory, as OpenCV has it (Picamera2 manual, 4.2.2.2).
        self._camera.configure(
            self._camera.create_video_configuration(
                main={"size": (width, height), "format": "RGB888"},
                buffer_count=2,
                controls={"FrameRate": fps or _FPS},
            )
        )
        self._camera.start()

    def read(self) -> UInt8Array | None:
        """The next frame."""
        try:
            frame: UInt8Array = self._camera.capture_array("main")
        except RuntimeError as error:
            raise SourceLostError(f"picamera: gives no frames any more ({error})") from error
        return frame

    def close(self) -> None:
        """Stop the camera."""
        self._camera.close()


class GStreamerFrames:
    """By GStreamer's libcamerasrc, with a sink that keeps one frame."""

    fps: float | None = None
    patience_s = 1.0

    def __init__(self, width: int, height: int, fps: float | None) -> None:
        """Start the pipeline."""
        self._capture = cv2.VideoCapture(pipeline(width, height, fps), cv2.CAP_GSTREAMER)
        if not self._capture.isOpened():
            raise SourceLostError(
                "picamera: GStreamer does not start libcamerasrc; `sudo apt install "
                "gstreamer1.0-libcamera`, check the cable and `rpicam-hello --list-cameras`"
            )

    def read(self) -> UInt8Array | None:
        """The next frame."""
        read, frame = self._capture.read()
        if not read:
            raise SourceLostError("picamera: gives no frames any more")
        return frame  # type: ignore[return-value]

    def close(self) -> None:
        """Stop the pipeline."""
        self._capture.release()


def pipeline(width: int, height: int, fps: float | None) -> str:
    """The GStreamer pipeline: BGR frames, the newest alone."""
    return (
        "libcamerasrc ! "
        f"video/x-raw,width={width},height={height},framerate={round(fps or _FPS)}/1 ! "
        "videoconvert ! video/x-raw,format=BGR ! appsink drop=true max-buffers=1 sync=false"
    )


def _has_gstreamer() -> bool:
    # The list of backends names those that a plugin could add, too.
    return bool(cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER))
