"""Drawing in the unit square: filled polygons and strokes on an RGBA canvas.

Coordinates run from -1 to 1, x to the right and y down. Everything is a polygon or a polyline of
our own: OpenCV's fonts changed between versions 4 and 5, and a dataset must not change with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edgesmith.preprocess import UInt8Array

Point = tuple[float, float]
Colour = tuple[int, int, int]

_SHIFT = 4  # fractional bits of OpenCV's fixed-point coordinates


@dataclass(frozen=True)
class Canvas:
    """(side, side, 4) uint8 RGBA pixels that hold the unit square."""

    pixels: UInt8Array

    @classmethod
    def blank(cls, side: int) -> Canvas:
        """A fully transparent canvas."""
        return cls(np.zeros((side, side, 4), np.uint8))

    def fill(self, points: Sequence[Point], colour: Colour) -> None:
        """Fill a closed polygon."""
        cv2.fillPoly(self.pixels, [self._fixed(points)], (*colour, 255), cv2.LINE_8, _SHIFT)

    def stroke(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        """Draw an open polyline of a width given in units of the square, with round ends."""
        thickness = max(1, round(width * self.pixels.shape[0] / 2))
        cv2.polylines(
            self.pixels, [self._fixed(points)], False, (*colour, 255), thickness, shift=_SHIFT
        )

    def shrunk(self, side: int) -> UInt8Array:
        """The canvas at (side, side, 4), averaged over premultiplied colour."""
        return np.asarray(
            cv2.resize(self.pixels, (side, side), interpolation=cv2.INTER_AREA), dtype=np.uint8
        )

    def _fixed(self, points: Sequence[Point]) -> npt.NDArray[np.int32]:
        side = self.pixels.shape[0]
        pixels = (np.asarray(points, np.float64) + 1) * (side / 2) - 0.5
        fixed: npt.NDArray[np.int32] = np.rint(pixels * (1 << _SHIFT)).astype(np.int32)
        return fixed


def arc(centre: Point, radii: Point, start: float, end: float) -> list[Point]:
    """Points of an elliptic arc from `start` to `end` degrees, clockwise from the x axis."""
    angles = np.radians(np.linspace(start, end, max(8, int(abs(end - start) / 6))))
    across = centre[0] + radii[0] * np.cos(angles)
    down = centre[1] + radii[1] * np.sin(angles)
    return [(float(x), float(y)) for x, y in zip(across, down, strict=True)]


def disc(radius: float) -> list[Point]:
    """Outline of a circle around the middle."""
    return arc((0.0, 0.0), (radius, radius), 0, 360)


def triangle(size: float) -> list[Point]:
    """Outline of an upright triangle with rounded corners; `size` 1 fills the square."""
    corner = 0.12 * size
    points: list[Point] = []
    for (x, y), start in (((0.0, -0.9), 210), ((0.98, 0.85), 330), ((-0.98, 0.85), 90)):
        middle = (x * (size - corner), 0.1 + (y - 0.1) * (size - corner))
        points += arc(middle, (corner, corner), start, start + 120)
    return points
