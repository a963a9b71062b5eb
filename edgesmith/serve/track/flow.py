"""Boxes moved as the picture under them moved: sparse optical flow (OpenCV)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from edgesmith.preprocess import Float32Array, UInt8Array

Box = tuple[float, float, float, float]
Found = npt.NDArray[np.bool_]

# Longer side of the grey image that is looked at, in pixels, at least; less where the frame is.
_SIDE = 240
# Points across a box and down it, in its middle: corners of a box show what is behind the object.
_POINTS = 4
_MIDDLE = 0.7
# Least share of the points that has to be found again, and how far (pixels of the grey image) one
# may miss its start when it is followed back (forward-backward error; Kalal et al. 2010).
_LEAST = 0.25
_ASTRAY = 1.0
# Growth from one frame to the next that is believed.
_GROWTH = 1.1
# Windows of 15 pixels on four levels take three times as long and carry no better.
_WINDOW = (11, 11)
_LEVELS = 2
# Pixels of the grey image around all points that are looked at: the window on the coarsest level,
# and as much again for motion. A part begins at a pixel of that level.
_CELL = 2**_LEVELS
_AROUND = 2 * _CELL * (_WINDOW[0] // 2 + 1)
_ENOUGH = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.03)


class Grey(NamedTuple):
    """A frame as flow sees it: (h, w) uint8, and frame pixels per pixel of it."""

    pixels: UInt8Array
    scale: int


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
    # A whole number of pixels becomes one: OpenCV's averaging is four times as fast then.
    scale = max(max(height, width) // side, 1)
    if scale == 1:
        return Grey(np.asarray(pixels, np.uint8), 1)
    rows, columns = height // scale, width // scale
    whole = pixels[: rows * scale, : columns * scale]
    small = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
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
    corners = np.array(boxes, np.float32).reshape(-1, 2, 2) / np.float32(before.scale)
    starts = corners[:, :1] + _GRID * (corners[:, 1:] - corners[:, :1])
    flat = np.ascontiguousarray(starts.reshape(-1, 1, 2))
    found, there, back, again = _there_and_back(before.pixels, after.pixels, flat)
    height, width = after.pixels.shape
    close = np.square(back - flat).sum(axis=(1, 2)) < _ASTRAY**2
    inside = np.all((found >= 0) & (found < (width, height)), axis=(1, 2))
    good = np.asarray(there & again & close & inside).reshape(starts.shape[:2])
    moved = _moved(corners, starts, found.reshape(starts.shape), good) * before.scale
    shares = good.mean(axis=1)
    return [
        Moved(box, 0.0)
        if share < _LEAST
        else Moved((float(new[0]), float(new[1]), float(new[2]), float(new[3])), float(share))
        for box, new, share in zip(boxes, moved, shares, strict=True)
    ]


def _there_and_back(
    before: UInt8Array, after: UInt8Array, points: Float32Array
) -> tuple[Float32Array, Found, Float32Array, Found]:
    """`_trace` from one frame to the other and back, in the part of them that matters.

    Most of its time is the pyramid of the whole image, of which the points ask little.
    """
    rows, columns = before.shape
    # Of points beyond the image a part at its border is left, where none is found.
    last = np.maximum((columns - _AROUND, rows - _AROUND), 0)
    low = np.clip(points.min(axis=(0, 1)).astype(int) - _AROUND, 0, last) // _CELL * _CELL
    high = np.maximum(points.max(axis=(0, 1)).astype(int) + _AROUND, low + _AROUND)
    part = (slice(low[1], high[1]), slice(low[0], high[0]))
    corner = low.astype(np.float32)
    one, other = before[part], after[part]
    found, there = _trace(one, other, points - corner)
    back, again = _trace(other, one, found)
    return found + corner, there, back + corner, again


def _trace(
    before: UInt8Array, after: UInt8Array, points: Float32Array
) -> tuple[Float32Array, Found]:
    """(points, 1, 2) where each point went, and (points,) whether it was found (Lucas-Kanade)."""
    found, there, _ = cv2.calcOpticalFlowPyrLK(
        before, after, points, points.copy(), winSize=_WINDOW, maxLevel=_LEVELS, criteria=_ENOUGH
    )
    return np.asarray(found, np.float32), np.asarray(there, np.uint8).ravel() == 1


def _moved(
    corners: Float32Array, starts: Float32Array, ends: Float32Array, good: npt.NDArray[np.bool_]
) -> Float32Array:
    """(boxes, 4) after shift and growth; `corners` (boxes, 2, 2), points (boxes, points, 2)."""
    shift = _median(ends - starts, good)[:, None]
    # Points opposite each other in the grid: half of them, each with its partner.
    half = starts.shape[1] // 2
    was = np.linalg.norm(starts[:, :half] - starts[:, : -half - 1 : -1], axis=2)
    now = np.linalg.norm(ends[:, :half] - ends[:, : -half - 1 : -1], axis=2)
    pairs = good[:, :half] & good[:, : -half - 1 : -1]
    growth = _median((now / np.maximum(was, 1e-6))[..., None], pairs)[:, None]
    growth = np.where(np.any(pairs, axis=1)[:, None, None], growth, 1.0)
    growth = np.clip(growth, 1 / _GROWTH, _GROWTH)
    # Growth is about the middle of the points that were followed, which may be off the box's.
    middle = _median(starts, good)[:, None]
    moved: Float32Array = middle + (corners - middle) * growth + shift
    return moved.reshape(-1, 4)


def _median(values: Float32Array, good: npt.NDArray[np.bool_]) -> Float32Array:
    """(boxes, n) of (boxes, points, n) over the good points; of an even number the upper one.

    numpy's own takes fifteen times as long on so few.
    """
    ordered = np.sort(np.where(good[..., None], values, np.inf), axis=1)
    places = np.minimum(good.sum(axis=1) // 2, values.shape[1] - 1)
    result: Float32Array = ordered[np.arange(len(values)), places]
    return np.where(np.isfinite(result), result, 0.0).astype(np.float32)


def _grid() -> Float32Array:
    """(points, 2) shares of a box's width and height, row by row."""
    shares = np.linspace((1 - _MIDDLE) / 2, (1 + _MIDDLE) / 2, _POINTS)
    across, down = np.meshgrid(shares, shares)
    return np.stack([across.ravel(), down.ravel()], axis=1).astype(np.float32)


_GRID = _grid()
