"""A video file, by OpenCV's FFmpeg."""

from __future__ import annotations

from pathlib import Path

import cv2

from edgesmith.preprocess import UInt8Array
from edgesmith.serve.errors import SourceError

_FPS = 25.0


class Video:
    """Frames of a file; deleted while it plays, it plays on to its end (the file is open)."""

    patience_s = 0.0

    def __init__(self, path: Path, fps: float | None, start: int) -> None:
        """Open the file and begin with frame `start`."""
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise SourceError(
                f"{path}: not a video that FFmpeg reads (or unreadable, or gone); convert it, for "
                "example `ffmpeg -i IN -c:v libx264 OUT.mp4`"
            )
        stored = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps: float | None = fps or (stored if 0 < stored <= 1000 else _FPS)
        # Not by seeking: to a frame between two key frames it is inexact with some codecs.
        for _ in range(start):
            if not self._capture.grab():
                break

    def read(self) -> UInt8Array | None:
        """The next frame; None at the end."""
        read, frame = self._capture.read()
        return frame if read else None  # type: ignore[return-value]

    def close(self) -> None:
        """Close the file."""
        self._capture.release()
