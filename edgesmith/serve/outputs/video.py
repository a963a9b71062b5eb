"""The annotated video: a file that a killed process leaves readable."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import cv2

from edgesmith.preprocess import UInt8Array
from edgesmith.serve.outputs.output import OutputError
from edgesmith.serve.outputs.overlay import Overlay
from edgesmith.serve.result import Result, Status

_LOG = logging.getLogger(__name__)
# Both containers can be read without the index that closing appends, unlike MP4: of a process that
# is killed, what FFmpeg's buffer of up to 1 MiB held is lost and no more.
_CODECS = {".mkv": "mp4v", ".avi": "MJPG"}
# A source that was away for longer is not shown as a still for as long.
_LONGEST_STILL_S = 2.0
_LEAST_FREE_BYTES = 256_000_000
_LOOK_EVERY_S = 10.0


class Video:
    """Writes annotated frames at a fixed rate, in files of `part_s` seconds.

    A source without a steady rate keeps its pace: a frame stays for as long as it was the newest.
    `run.mkv` is followed by `run-2.mkv` and so on; what is there already is never overwritten.
    With less than 256 MB free on the disk nothing is written until there is more.
    """

    def __init__(
        self,
        path: Path,
        overlay: Overlay,
        fps: float = 25.0,
        part_s: float = 600.0,
        least_free_bytes: int = _LEAST_FREE_BYTES,
    ) -> None:
        """OutputError for a suffix other than .mkv and .avi, or a folder that cannot be made."""
        if path.suffix.lower() not in _CODECS:
            raise OutputError(
                f"{path}: a video is .mkv (MPEG-4, small) or .avi (MJPEG, 5 to 20 times larger): "
                "both stay readable when the process is killed; name such a file"
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{path.parent}: cannot be made ({error.strerror})") from error
        self._path, self._overlay, self._fps, self._part_s = path, overlay, fps, part_s
        self._least_free = least_free_bytes
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._newest: UInt8Array | None = None
        self._began_s = self._last_s = self._looked_s = 0.0
        self._written = 0
        self._full = False

    def put(self, image: UInt8Array, result: Result, status: Status) -> None:
        """Write the frame as often as the fixed rate asks for, which may be never."""
        if self._disk_is_full(result.captured_s):
            return
        size = (image.shape[1], image.shape[0])
        if self._writer is None or self._ends(result, size):
            self._begin(size, result.captured_s)
        gap = result.captured_s - self._last_s
        if not 0 <= gap <= _LONGEST_STILL_S:  # the source was away, or the clock was set
            self._began_s += gap if gap < 0 else gap - _LONGEST_STILL_S
        self._last_s = result.captured_s
        due = 1 + int((result.captured_s - self._began_s) * self._fps + 0.5)
        if due <= self._written:
            return
        drawn = self._overlay.draw(image, result, status)
        before = drawn if self._newest is None else self._newest
        if self._writer is not None:
            for _ in range(due - self._written - 1):
                self._writer.write(before)
            self._writer.write(drawn)
        self._newest, self._written = drawn, due

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None

    def _ends(self, result: Result, size: tuple[int, int]) -> bool:
        return size != self._size or self._written >= self._part_s * self._fps

    def _begin(self, size: tuple[int, int], now_s: float) -> None:
        self.close()
        path = _free(self._path)
        fourcc = cv2.VideoWriter.fourcc(*_CODECS[path.suffix.lower()])
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, self._fps, size)
        if not writer.isOpened():
            raise OutputError(
                f"{path}: OpenCV cannot write it: the folder is not writable, or this OpenCV was "
                "built without FFmpeg (the one of `pip install opencv-python-headless` has it)"
            )
        self._writer, self._size = writer, size
        self._began_s = self._last_s = now_s
        self._newest, self._written = None, 0

    def _disk_is_full(self, now_s: float) -> bool:
        if abs(now_s - self._looked_s) >= _LOOK_EVERY_S:
            self._looked_s = now_s
            free = shutil.disk_usage(self._path.parent).free
            full = free < self._least_free
            if full and not self._full:
                _LOG.error(
                    "%s: %d MB are free; no video is written until it is %d again",
                    self._path.parent,
                    free // 1_000_000,
                    self._least_free // 1_000_000,
                )
                self.close()
            self._full = full
        return self._full


def _free(path: Path) -> Path:
    """The path itself, or with the first number from 2 that no file has."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free
