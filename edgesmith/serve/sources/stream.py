"""RTSP and HTTP streams, by OpenCV's FFmpeg."""

from __future__ import annotations

import os

import cv2

from edgesmith.preprocess import UInt8Array
from edgesmith.serve.errors import SourceLostError

# A camera that accepts a connection answers within this.
OPEN_SECONDS = 5.0
# RTSP over TCP: over UDP a lost packet smears the picture until the next key frame. A buffer would
# be latency.
_OPTIONS = "rtsp_transport;tcp|fflags;nobuffer|flags;low_delay"


class Stream:
    """Frames as they come; a stall or an end of the connection raises SourceLostError."""

    fps: float | None = None

    def __init__(self, address: str, fps: float | None, stall_s: float) -> None:
        """Connect; SourceLostError if that fails. Without a frame for `stall_s` it is lost."""
        # A camera of less than one frame a second says so with --fps.
        stall_s = max(stall_s, 3 / fps) if fps else stall_s
        self.patience_s = stall_s
        self._address = address
        os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", _OPTIONS)
        self._capture = cv2.VideoCapture(
            address,
            cv2.CAP_FFMPEG,
            [
                *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(1000 * OPEN_SECONDS)),
                *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, int(1000 * stall_s)),
            ],
        )
        if not self._capture.isOpened():
            raise SourceLostError(
                f"{without_password(address)}: no stream there; check address, network, user and "
                "password, for example with `ffprobe ADDRESS`"
            )

    def read(self) -> UInt8Array | None:
        """The next frame."""
        read, frame = self._capture.read()
        if not read:
            raise SourceLostError(f"{without_password(self._address)}: no more frames")
        return frame  # type: ignore[return-value]

    def close(self) -> None:
        """Close the connection."""
        self._capture.release()


def without_password(address: str) -> str:
    """The address as it may stand in a log."""
    scheme, _, rest = address.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"
