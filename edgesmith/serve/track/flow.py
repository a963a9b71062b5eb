"""Boxes moved as the picture under them moved: sparse optical flow (OpenCV)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from edgesmith.preprocess import Float32Array, UInt8Array

Box = tuple[float, float, float, float]

# Longer side of the grey image that is looked at, in pixels: at 320 a frame costs 0.5 ms.
_SIDE = 320
# Points across a box and down it, in its middle: corners of a box show what is behind the object.
_POINTS = 6
_MIDDLE = 0.8
# Least points that agree, and how far (pixels of the grey image) one may miss its start when it is
# followed back (forward-backward error; Kalal et al. 2010).
_LEAST = 6
_ASTRAY = 1.0
# Growth from one frame to the next that is believed.
_GROWTH = 1.1
_WINDOW = {
    "winSize": (15, 15),
    "maxLevel": 3,
    "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.03),
}


class Grey(NamedTuple):
    """A frame as flow sees it: (h, w) uint8, and frame pixels per pixel of it."""

    pixels: UInt8Array
    scale: float


class Moved(NamedTuple):
    """A box after the motion, and the share of its points that were found again (0 to 1).

    `sure` 0 says that too few were: the box is where it was.
    """

    box: Box
    sure: float


def grey(image: UInt8Array, side: int = _SIDE) -> Grey:
    """A small grey image of (H, W, 3) uint8 BGR or RGB; one that is smaller keeps its size."""
    pixels = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    height, width = pixels.shape
    scale = max(height, width) / side
    if scale <= 1:
        return Grey(np.asarray(pixels, np.uint8), 1.0)
    size = (max(round(width / scale), 1), max(round(height / scale), 1))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return Grey(np.asarray(small, np.uint8), scale)


def follow(before: Grey, after: Grey, boxes: Sequence[Box]) -> list[Moved]:
    """Where each box of the frame `before` is in the frame `after`, in pixels of the frame.

    Shift and growth are medians over points inside the box that are found again and lead back
    (Median Flow, Kalal et al. 2010). Frames of unlike size (a camera that changed its mode) move
    nothing.
    """
    if not boxes:
        return []
    if before.pixels.shape != after.pixels.shape:
        return [Moved(box, 0.0) for box in boxes]
    starts = np.concatenate([_grid(box, before.scale) for box in boxes])
    ends, there, _ = cv2.calcOpticalFlowPyrLK(
        before.pixels, after.pixels, starts[:, None], None, **_WINDOW
    )
    back, again, _ = cv2.calcOpticalFlowPyrLK(after.pixels, before.pixels, ends, None, **_WINDOW)
    astray = np.linalg.norm(back[:, 0] - starts, axis=1)
    height, width = after.pixels.shape
    inside = (ends[:, 0] >= 0).all(axis=1) & (ends[:, 0] < (width, height)).all(axis=1)
    good = (there[:, 0] == 1) & (again[:, 0] == 1) & (astray < _ASTRAY) & inside
    each = _POINTS * _POINTS
    return [
        _moved(
            box,
            starts[place : place + each],
            ends[place : place + each, 0],
            good[place : place + each],
            after.scale,
        )
        for place, box in zip(range(0, len(starts), each), boxes, strict=True)
    ]


def _grid(box: Box, scale: float) -> Float32Array:
    """(points, 2) x y in pixels of the grey image, row by row."""
    x1, y1, x2, y2 = box
    edge = (1 - _MIDDLE) / 2
    shares = np.linspace(edge, 1 - edge, _POINTS)
    across, down = np.meshgrid(x1 + shares * (x2 - x1), y1 + shares * (y2 - y1))
    return np.asarray(np.stack([across.ravel(), down.ravel()], axis=1) / scale, np.float32)


def _moved(
    box: Box,
    starts: Float32Array,
    ends: Float32Array,
    good: npt.NDArray[np.bool_],
    scale: float,
) -> Moved:
    count = int(good.sum())
    if count < _LEAST:
        return Moved(box, 0.0)
    one, other = starts[good], ends[good]
    shift = np.median(other - one, axis=0)
    pairs = np.triu_indices(count, 1)
    was = np.linalg.norm(one[pairs[0]] - one[pairs[1]], axis=1)
    now = np.linalg.norm(other[pairs[0]] - other[pairs[1]], axis=1)
    growth = float(np.clip(np.median(now / np.maximum(was, 1e-6)), 1 / _GROWTH, _GROWTH))
    # Growth is about the middle of the points that were followed, which may be off the box's.
    middle = np.median(one, axis=0)
    x1, y1, x2, y2 = (value / scale for value in box)
    left, top = middle + (np.array([x1, y1]) - middle) * growth + shift
    right, bottom = middle + (np.array([x2, y2]) - middle) * growth + shift
    corners = (float(left), float(top), float(right), float(bottom))
    moved = tuple(value * scale for value in corners)
    return Moved((moved[0], moved[1], moved[2], moved[3]), count / len(good))
