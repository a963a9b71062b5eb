"""Shapes that move over a quiet background, the same for the same number of the frame."""

from __future__ import annotations

import cv2
import numpy as np

from edgesmith.preprocess import UInt8Array

# Blue, green, red, and their speeds in widths and heights of the image per 1000 frames.
_COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
_SPEEDS = ((7, 3), (-5, 4), (3, -6))
_FPS = 30.0


class Synthetic:
    """Three shapes, endless."""

    patience_s = 0.0

    def __init__(self, width: int, height: int, fps: float | None, start: int) -> None:
        """Begin with frame `start`."""
        self.fps: float | None = fps or _FPS
        self._background = _background(width, height)
        self._next = start

    def read(self) -> UInt8Array | None:
        """The next frame."""
        frame = draw(self._background, self._next)
        self._next += 1
        return frame

    def close(self) -> None:
        """Hold nothing."""


def draw(background: UInt8Array, index: int) -> UInt8Array:
    """The background with the shapes where they are in frame `index`."""
    frame = background.copy()
    height, width = frame.shape[:2]
    side = max(min(width, height) // 5, 4)
    for number, (colour, speed) in enumerate(zip(_COLOURS, _SPEEDS, strict=True)):
        x = _bounce(index * speed[0] * width // 1000 + number * width // 4, width - side)
        y = _bounce(index * speed[1] * height // 1000 + number * height // 3, height - side)
        if number == 2:
            centre = (x + side // 2, y + side // 2)
            cv2.circle(frame, centre, side // 2, colour, -1)
        else:
            cv2.rectangle(frame, (x, y), (x + side - 1, y + side - 1), colour, -1)
    return frame


def _background(width: int, height: int) -> UInt8Array:
    """Grey from left to right, with the noise of a calm sensor."""
    ramp = np.linspace(80, 150, width, dtype=np.float32)[None, :, None]
    noise = np.random.default_rng(0).normal(0, 3, (height, width, 1))
    return np.repeat((ramp + noise).clip(0, 255), 3, axis=2).astype(np.uint8)


def _bounce(position: int, room: int) -> int:
    """Back and forth between 0 and `room`."""
    room = max(room, 1)
    within = position % (2 * room)
    return within if within <= room else 2 * room - within
