"""Boxes moved as the picture under them moved: sparse optical flow (OpenCV)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from edgesmith.preprocess import Float32Array, UInt8Array

Box = tuple[float, float, float, float]

# Longer side of the grey image that is looked at, in pixels, at least; less where the frame is.
_SIDE = 240
# Points on each diagonal of a box, in its middle: corners show what is behind the object. A full
# grid of as many across and down takes twice as long and carries no better.
_POINTS = 4
_MIDDLE = 0.7
# Least share of the points that has to be found again, and how far (pixels of the grey image) one
# may be from where the others say that it went. Following each back to its start (Kalal et al.
# 2010) tells as much and takes twice as long.
_LEAST = 0.25
_ASTRAY = 2.5
# Growth from one frame to the next that is believed.
_GROWTH = 1.1
# More levels than the picture and its half, or larger windows, take longer and carry no better: the
# search begins with the motion of the last frame.
_WINDOW = (11, 11)
_LEVELS = 1
# Pixels of the grey image around all points, and where they are expected, that are looked at: the
# window on the coarsest level and some more. A part begins at a pixel of that level.
_CELL = 2**_LEVELS
_AROUND = _CELL * (_WINDOW[0] // 2 + 3)
# As many are kept of a frame, for where the boxes are in the next. What goes further in one frame
# is still followed, by windows that end sooner.
_KEPT = _AROUND + _AROUND // 2
_STILL: Box = (0.0, 0.0, 0.0, 0.0)
_ENOUGH = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.03)


class Grey(NamedTuple):
    """A frame as flow sees it, or the part of it that matters.

    `pixels` (h, w) uint8 begin at `corner` (x, y) of an image of `size` (width, height), one of
    them for each `scale` by `scale` of the frame.
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


# A point x + iy and how far it went; None where it was lost.
_Followed = tuple[complex, complex] | None


def grey(image: UInt8Array, side: int = _SIDE, around: Sequence[Box] = ()) -> Grey:
    """A small grey image of (H, W, 3) uint8 BGR or RGB; one that is smaller keeps its size.

    With boxes `around`, pixels of the frame, no more of it than their points may need, now and in
    the next frame: most frames show little that is followed.

    It is the green of single pixels: their mean takes three times as long and is followed no
    better, not even in noise, which the windows take out.
    """
    height, width = image.shape[:2]
    scale = max(max(height, width) // side, 1)
    size = (width // scale, height // scale)
    left, top, right, bottom = 0, 0, *size
    if around:
        small = [_times(box, 1 / scale) for box in around]
        left, top, right, bottom = _part(small, _KEPT, (0, 0), size)
    part = image[top * scale : bottom * scale : scale, left * scale : right * scale : scale, 1]
    return Grey(np.ascontiguousarray(part), scale, (left, top), size)


def follow(
    before: Grey, after: Grey, boxes: Sequence[Box], velocities: Sequence[Box] = ()
) -> list[Moved]:
    """Where each box of the frame `before` is in the frame `after`, in pixels of the frame.

    Shift and growth are medians over points inside the box that are found again (Median Flow, Kalal
    et al. 2010); those that went another way count as lost. Search begins where `velocities`,
    pixels per frame of the corners, take them. Frames of unlike size (a camera that changed its
    mode) move nothing.
    """
    if not boxes or before.size != after.size:
        return [Moved(box, 0.0) for box in boxes]
    scale = before.scale
    small = [_times(box, 1 / scale) for box in boxes]
    steps = [_times(step, 1 / scale) for step in velocities] or [_STILL] * len(boxes)
    points = _points(before, after, small, steps)
    moved = []
    for place, box in enumerate(boxes):
        own = points[place * len(_GRID) : (place + 1) * len(_GRID)]
        new, sure = _moved(small[place], own)
        moved.append(Moved(box, 0.0) if sure < _LEAST else Moved(_times(new, scale), sure))
    return moved


def _times(box: Box, factor: float) -> Box:
    x1, y1, x2, y2 = box
    return (x1 * factor, y1 * factor, x2 * factor, y2 * factor)


def _plus(one: Box, other: Box) -> Box:
    return (one[0] + other[0], one[1] + other[1], one[2] + other[2], one[3] + other[3])


def _part(
    boxes: Sequence[Box], around: int, low: tuple[int, int], high: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is within `around` pixels of `boxes`.

    Within `low` and `high`, at least a cell of it: of boxes beyond them a part at their border is
    left, where nothing is found.
    """
    edges = []
    for axis in (0, 1):
        ends = [box[axis] for box in boxes] + [box[axis + 2] for box in boxes]
        last = max(high[axis] - _AROUND, low[axis])
        start = min(max(int(min(ends)) - around, low[axis]), last) // _CELL * _CELL
        end = min(max(int(max(ends)) + around, start + _AROUND), high[axis])
        edges.append((max(start, low[axis]), end))
    (left, right), (top, bottom) = edges
    return left, top, right, bottom


def _points(
    before: Grey, after: Grey, boxes: Sequence[Box], steps: Sequence[Box]
) -> list[_Followed]:
    """The grid's points of each box after one another, followed (Lucas-Kanade); None of one lost.

    In the part of the frames that matters: most of the time goes into the pyramid of the whole
    image, of which the points ask little. Empty where the frames' parts share nothing.
    """
    (x, y), (x2, y2) = before.corner, after.corner
    (end_x, end_y), (end_x2, end_y2) = before.end, after.end
    low, high = (max(x, x2), max(y, y2)), (min(end_x, end_x2), min(end_y, end_y2))
    if low[0] >= high[0] or low[1] >= high[1]:
        return []
    expected = [_plus(box, step) for box, step in zip(boxes, steps, strict=True)]
    left, top, right, bottom = _part([*boxes, *expected], _AROUND, low, high)
    edges = np.array([boxes, expected], np.float32).reshape(2, -1, 2, 2)
    edges -= np.array((left, top), np.float32)
    points = edges[:, :, :1] + _GRID * (edges[:, :, 1:] - edges[:, :, :1])
    starts, guesses = points.reshape(2, -1, 1, 2)
    found, there, _ = cv2.calcOpticalFlowPyrLK(
        before.part(left, top, right, bottom),
        after.part(left, top, right, bottom),
        starts,
        guesses,
        winSize=_WINDOW,
        maxLevel=_LEVELS,
        criteria=_ENOUGH,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    corner, right, bottom = complex(left, top), after.size[0] - left, after.size[1] - top
    return [
        (start + corner, end - start)
        if seen and -left <= end.real < right and -top <= end.imag < bottom
        else None
        for start, end, seen in zip(
            _complex(starts), _complex(found), there.ravel().tolist(), strict=True
        )
    ]


def _complex(points: npt.NDArray[np.generic]) -> list[complex]:
    """(…, 2) float32 as numbers x + iy: half as much to compute with."""
    numbers: list[complex] = points.view(np.complex64).ravel().tolist()
    return numbers


def _moved(box: Box, points: Sequence[_Followed]) -> tuple[Box, float]:
    """The box after the points' shift and growth, and the share of points that agree.

    Of an even number of points medians are the upper ones. A loop, because numpy takes twice as
    long on the few objects of most frames.
    """
    found = [point for point in points if point is not None]
    if not found:
        return box, 0.0
    shift = _median([went for _, went in found])
    # Growth is about the middle of the points that were followed, which may be off the box's.
    middle = _median([start for start, _ in found])
    growths = []
    # Points opposite each other in the grid.
    for one, other in zip(points[: len(points) // 2], reversed(points), strict=False):
        if one is not None and other is not None:
            was = one[0] - other[0]
            growths.append(abs(was + one[1] - other[1]) / (abs(was) or 1.0))
    growth = min(max(_middle(growths), 1 / _GROWTH), _GROWTH) if growths else 1.0
    # A place goes to its own times the growth, and this far.
    away = middle + shift - middle * growth
    agree = [1 for start, went in found if abs(start + went - start * growth - away) < _ASTRAY]
    x1, y1, x2, y2 = box
    across, down = away.real, away.imag
    new = (x1 * growth + across, y1 * growth + down, x2 * growth + across, y2 * growth + down)
    return new, len(agree) / len(points)


def _median(points: Sequence[complex]) -> complex:
    """Of both axes, each by itself."""
    return complex(
        _middle([point.real for point in points]), _middle([point.imag for point in points])
    )


def _middle(values: list[float]) -> float:
    """The upper median; `statistics` takes twice as long on so few."""
    return sorted(values)[len(values) // 2]


def _grid() -> Float32Array:
    """(points, 2) shares of a box's width and height: its two diagonals.

    Backwards they are the points opposite.
    """
    shares = np.linspace((1 - _MIDDLE) / 2, (1 + _MIDDLE) / 2, _POINTS)
    pairs = [(own, other) for own in shares for other in sorted((own, 1 - own))]
    return np.array(pairs, np.float32)


_GRID = _grid()
