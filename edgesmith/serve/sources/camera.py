"""A camera of the kernel (V4L2), by OpenCV: USB, or whatever has a /dev/video."""

from __future__ import annotations

import os

import cv2

from edgesmith.preprocess import UInt8Array
from edgesmith.serve.errors import SourceLostError

# Seconds without a frame after which OpenCV's read gives up (its default is 10); a longer one
# would count as a hang. Read when the first camera is opened.
_SELECT_SECONDS = "1"


class Camera:
    """Frames as they come; one that is pulled out raises SourceLostError."""

    fps: float | None = None
    patience_s = 1.0

    def __init__(self, device: str, width: int, height: int, fps: float | None) -> None:
        """Open the device with a buffer of one frame, as JPEG, in the nearest size it has."""
        os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", _SELECT_SECONDS)
        self._device = device
        self._capture = cv2.VideoCapture(device, cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise SourceLostError(
                f"{device}: does not open as a camera: another program holds it (`fuser {device}`) "
                "or it gives no pictures (a Pi camera on the ribbon cable is `--source picamera`)"
            )
        # Raw frames fill USB 2 at 640×480 and 30 a second; the buffer's depth would be latency.
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
        if fps:
            self._capture.set(cv2.CAP_PROP_FPS, fps)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)

    def read(self) -> UInt8Array | None:
        """The next frame."""
        read, frame = self._capture.read()
        if not read:
            raise SourceLostError(f"{self._device}: gives no frames any more (unplugged?)")
        return frame  # type: ignore[return-value]

    def close(self) -> None:
        """Close the device."""
        self._capture.release()
