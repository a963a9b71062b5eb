"""The live picture: encoded once for all viewers, and not at all while nobody watches."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import cv2
import numpy as np

from edgesmith.preprocess import UInt8Array
from edgesmith.serve.outputs.overlay import Overlay
from edgesmith.serve.result import Result, Status

# A page of a device needs no cinema; each viewer costs the network this many pictures a second.
_MAX_FPS = 15.0
_QUALITY = 80
_WIDEST = 1280


class Jpeg(NamedTuple):
    """An encoded frame and its number, from 1."""

    number: int
    content: bytes


class LivePicture:
    """Newest annotated frame as JPEG, made in a thread of its own for whoever waits for it."""

    def __init__(self, overlay: Overlay, max_fps: float = _MAX_FPS, max_viewers: int = 8) -> None:
        self._overlay = overlay
        self._least_s = 1 / max_fps
        self._free = threading.BoundedSemaphore(max_viewers)
        self._changed = threading.Condition()
        self._viewers = 0
        self._wanted = False
        self._drawn: UInt8Array | None = None
        self._jpeg: Jpeg | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._encode, name="live picture", daemon=True)
        self._thread.start()

    @property
    def viewers(self) -> int:
        """Who watches now."""
        return self._viewers

    @property
    def encoded(self) -> int:
        """Frames that became JPEG so far."""
        return self._jpeg.number if self._jpeg else 0

    def put(self, image: UInt8Array, result: Result, status: Status) -> None:
        """Draw the frame if the encoder is waiting for one."""
        if not self._wanted:
            return
        drawn = self._overlay.draw(image, result, status)
        with self._changed:
            self._drawn, self._wanted = drawn, False
            self._changed.notify_all()

    def close(self) -> None:
        """Let all viewers go."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._thread.join(5)

    @contextmanager
    def watch(self) -> Iterator[bool]:
        """A viewer's place for the block; False where all places are taken."""
        if not self._free.acquire(blocking=False):
            yield False
            return
        try:
            with self._changed:
                self._viewers += 1
                self._changed.notify_all()
            yield True
        finally:
            with self._changed:
                self._viewers -= 1
            self._free.release()

    def next(self, after: int, timeout_s: float) -> Jpeg | None:
        """The newest picture with a number above `after`, once there is one.

        After `timeout_s` without one, whatever there is; None once the loop has ended, and where
        there was no frame yet.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._ended or (self._jpeg is not None and self._jpeg.number > after),
                timeout_s,
            )
            return None if self._ended else self._jpeg

    @property
    def ended(self) -> bool:
        """Whether there will be no further picture."""
        return self._ended

    def _encode(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._viewers or self._ended)
                self._drawn, self._wanted = None, True
                self._changed.wait_for(
                    lambda: self._drawn is not None or not self._viewers or self._ended
                )
                self._wanted = False
                if self._ended:
                    return
                drawn = self._drawn
            if drawn is None:
                continue
            began = time.monotonic()
            content = encode(drawn)
            with self._changed:
                self._jpeg = Jpeg(self.encoded + 1, content)
                self._changed.notify_all()
            # Woken early when the loop ends, and by nothing else that matters.
            rest = self._least_s - (time.monotonic() - began)
            with self._changed:
                self._changed.wait_for(lambda: self._ended, max(0.0, rest))


def encode(image: UInt8Array) -> bytes:
    """JPEG of (H, W, 3) uint8 BGR, made smaller where it is wider than 1280 pixels."""
    height, width = image.shape[:2]
    if width > _WIDEST:
        size = (_WIDEST, max(1, round(height * _WIDEST / width)))
        smaller = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        image = np.asarray(smaller, np.uint8)
    _, content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return content.tobytes()
