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
# More levels than the picture and its half, or larger windows, take longer and carry no better: the
# search begins with the motion of the last frame.
_WINDOW = (11, 11)
_LEVELS = 1
# Pixels of the grey image around all points that are looked at: the window on the coarsest level,
# and as much again for motion. A part begins at a pixel of that level.
_CELL = 2**_LEVELS
_AROUND = 2 * _CELL * (_WINDOW[0] // 2 + 1)
# As many again are kept of a frame, for where the boxes are in the next.
_KEPT = 2 * _AROUND
_ENOUGH = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.03)


class Grey(NamedTuple):
    """A frame as flow sees it, or the part of it that matters.

    `pixels` (h, w) uint8 begin at `corner` (x, y) of an image of `size` (width, height), each of
    them the mean of `scale` by `scale` of the frame.
    """

    pixels: UInt8Array
    scale: int
    corner: tuple[int, int]
    size: tuple[int, int]

    @property
    def end(self) -> tuple[int, int]:
        """Where the pixels end: right and bottom, in those of the whole image."""
        height, width = self.pixels.shape
        return self.corner[0] + width, self.corner[1] + height

    def part(self, left: int, top: int, right: int, bottom: int) -> UInt8Array:
        """The pixels between these edges, in those of the whole image."""
        x, y = self.corner
        return self.pixels[top - y : bottom - y, left - x : right - x]


class Moved(NamedTuple):
    """A box after the motion, and the share of its points that were found again (0 to 1).

    `sure` 0 says that too few were: the box is where it was.
    """

    box: Box
    sure: float


def grey(image: UInt8Array, side: int = _SIDE, around: Sequence[Box] = ()) -> Grey:
    """A small grey image of (H, W, 3) uint8 BGR or RGB; one that is smaller keeps its size.

    With boxes `around`, pixels of the frame, no more of it than their points may need, now and in
    the next frame: most frames show little that is followed.
    """
    height, width = image.shape[:2]
    # A whole number of pixels becomes one: OpenCV's averaging is four times as fast then.
    scale = max(max(height, width) // side, 1)
    size = (width // scale, height // scale)
    left, top, right, bottom = 0, 0, *size
    if around:
        edges = np.array(around, np.float32).reshape(-1, 2, 2) / np.float32(scale)
        left, top, right, bottom = _part(edges, _KEPT, (0, 0), size)
    part = image[top * scale : bottom * scale, left * scale : right * scale]
    pixels = cv2.cvtColor(part, cv2.COLOR_BGR2GRAY)
    if scale > 1:
        small = (right - left, bottom - top)
        pixels = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA)
    return Grey(np.asarray(pixels, np.uint8), scale, (left, top), size)


def follow(
    before: Grey, after: Grey, boxes: Sequence[Box], velocities: Sequence[Box] = ()
) -> list[Moved]:
    """Where each box of the frame `before` is in the frame `after`, in pixels of the frame.

    Shift and growth are medians over points inside the box that are found again and lead back
    (Median Flow, Kalal et al. 2010). Search begins where `velocities`, pixels per frame of the
    corners, take them. Frames of unlike size (a camera that changed its mode) move nothing.
    """
    if not boxes:
        return []
    if before.size != after.size:
        return [Moved(box, 0.0) for box in boxes]
    corners = np.array(boxes, np.float32).reshape(-1, 2, 2) / np.float32(before.scale)
    starts = corners[:, :1] + _GRID * (corners[:, 1:] - corners[:, :1])
    flat = np.ascontiguousarray(starts.reshape(-1, 1, 2))
    guesses = flat
    if velocities:
        steps = np.array(velocities, np.float32).reshape(-1, 2, 2) / np.float32(before.scale)
        guesses = starts + steps[:, :1] + _GRID * (steps[:, 1:] - steps[:, :1])
        guesses = np.ascontiguousarray(guesses.reshape(-1, 1, 2))
    found, there, back, again = _there_and_back(before, after, flat, guesses)
    missed = back - flat
    close = (missed * missed).sum(axis=(1, 2)) < _ASTRAY**2
    inside = ((found >= 0) & (found < after.size)).all(axis=(1, 2))
    good = np.asarray(there & again & close & inside).reshape(starts.shape[:2])
    moved = _moved(corners, starts, found.reshape(starts.shape), good) * before.scale
    shares = good.mean(axis=1)
    return [
        Moved(box, 0.0)
        if share < _LEAST
        else Moved((float(new[0]), float(new[1]), float(new[2]), float(new[3])), float(share))
        for box, new, share in zip(boxes, moved, shares, strict=True)
    ]


def _part(
    points: Float32Array, around: int, low: tuple[int, int], high: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is within `around` pixels of `points` (…, 2).

    Within `low` and `high`, at least a cell of it: of points beyond them a part at their border is
    left, where none is found.
    """
    edges = []
    axes = tuple(range(points.ndim - 1))
    least, most = points.min(axis=axes), points.max(axis=axes)
    for axis in (0, 1):
        last = max(high[axis] - _AROUND, low[axis])
        start = min(max(int(least[axis]) - around, low[axis]), last) // _CELL * _CELL
        end = min(max(int(most[axis]) + around, start + _AROUND), high[axis])
        edges.append((max(start, low[axis]), end))
    (left, right), (top, bottom) = edges
    return left, top, right, bottom


def _there_and_back(
    before: Grey, after: Grey, points: Float32Array, guesses: Float32Array
) -> tuple[Float32Array, Found, Float32Array, Found]:
    """`_trace` from one frame to the other and back, in the part of them that matters.

    Most of its time is the pyramid of the whole image, of which the points ask little.
    """
    (low_x, low_y), (high_x, high_y) = before.corner, before.end
    low = (max(low_x, after.corner[0]), max(low_y, after.corner[1]))
    high = (min(high_x, after.end[0]), min(high_y, after.end[1]))
    if low[0] >= high[0] or low[1] >= high[1]:
        nowhere = np.zeros(len(points), np.bool_)
        return points, nowhere, points, nowhere
    left, top, right, bottom = _part(np.concatenate([points, guesses]), _AROUND, low, high)
    one, other = (grey.part(left, top, right, bottom) for grey in (before, after))
    corner = np.array((left, top), np.float32)
    found, there = _trace(one, other, points - corner, guesses - corner)
    back, again = _trace(other, one, found, found + (points - guesses))
    return found + corner, there, back + corner, again


def _trace(
    before: UInt8Array, after: UInt8Array, points: Float32Array, guesses: Float32Array
) -> tuple[Float32Array, Found]:
    """(points, 1, 2) where each point went, and (points,) whether it was found (Lucas-Kanade)."""
    found, there, _ = cv2.calcOpticalFlowPyrLK(
        before,
        after,
        points,
        guesses.copy(),
        winSize=_WINDOW,
        maxLevel=_LEVELS,
        criteria=_ENOUGH,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    return np.asarray(found, np.float32), np.asarray(there, np.uint8).ravel() == 1


def _moved(
    corners: Float32Array, starts: Float32Array, ends: Float32Array, good: npt.NDArray[np.bool_]
) -> Float32Array:
    """(boxes, 4) after shift and growth; `corners` (boxes, 2, 2), points (boxes, points, 2)."""
    shifts = ends - starts
    # Growth is about the middle of the points that were followed, which may be off the box's.
    medians = _median(np.concatenate([shifts, starts], axis=2), good)
    shift, middle = medians[:, None, :2], medians[:, None, 2:]
    # Points opposite each other in the grid: half of them, each with its partner.
    half = starts.shape[1] // 2
    was = starts[:, :half] - starts[:, : -half - 1 : -1]
    now = was + shifts[:, :half] - shifts[:, : -half - 1 : -1]
    pairs = good[:, :half] & good[:, : -half - 1 : -1]
    squares = (now * now).sum(axis=2) / np.maximum((was * was).sum(axis=2), 1e-12)
    growth = np.sqrt(_median(squares[..., None], pairs))[:, None]
    growth = np.where(np.any(pairs, axis=1)[:, None, None], growth, 1.0)
    growth = np.minimum(np.maximum(growth, 1 / _GROWTH), _GROWTH)
    moved: Float32Array = middle + (corners - middle) * growth + shift
    return moved.reshape(-1, 4)


def _median(values: Float32Array, good: npt.NDArray[np.bool_]) -> Float32Array:
    """(boxes, n) of (boxes, points, n) over the good points; of an even number the upper one.

    numpy's own takes fifteen times as long on so few.
    """
    ordered = np.where(good[..., None], values, np.float32(np.inf))
    ordered.sort(axis=1)
    places = np.minimum(good.sum(axis=1) // 2, values.shape[1] - 1)
    result = np.asarray(ordered[np.arange(len(values)), places], np.float32)
    result[np.isinf(result)] = 0.0
    return result


def _grid() -> Float32Array:
    """(points, 2) shares of a box's width and height, row by row."""
    shares = np.linspace((1 - _MIDDLE) / 2, (1 + _MIDDLE) / 2, _POINTS)
    across, down = np.meshgrid(shares, shares)
    return np.stack([across.ravel(), down.ravel()], axis=1).astype(np.float32)


_GRID = _grid()
