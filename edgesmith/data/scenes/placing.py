"""Where a plate may stand: large enough, inside the image, in front of little else."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edgesmith.data.scenes.plates import Plate
from edgesmith.data.signs import scene as street
from edgesmith.data.signs.conditions import Conditions
from edgesmith.preprocess import Float32Array

Box = tuple[float, float, float, float]
"""x1 y1 x2 y2 in pixels, where pixel k lies between k and k + 1."""

# Shares of the scene's side: at 192 pixels signs of 16 to 96, half of them above 48.
_SIZES = (1 / 12, 1 / 2)
MEDIAN_SIZE = 1 / 4

# Share of an outline's area that the image has to hold.
_LEAST_INSIDE = 0.7
_TRIES = 12


@dataclass(frozen=True)
class Limits:
    """What the hardness of a scene means for what stands in it.

    `size_spread`: standard deviation of the sizes' logarithm. `overlap`: the share of the smaller
    of two boxes that may lie in the other. `other_plates`: how many plates without a box, on
    average.
    """

    size_spread: float
    overlap: float
    other_plates: float

    @classmethod
    def of(cls, hardness: float) -> Limits:
        """Limits from 0 (alike in size, apart, little else) to 1."""
        return cls(0.3 + 0.2 * hardness, 0.2 * hardness, 0.3 + 1.5 * hardness)


@dataclass(frozen=True, eq=False)
class Placed:
    """A plate's place: side in pixels, (4, 2) float32 corners as pixel centres, visible box."""

    size: float
    corners: Float32Array
    box: Box


def place(
    rng: np.random.Generator,
    plate: Plate,
    side: int,
    conditions: Conditions,
    limits: Limits,
    taken: list[Box],
) -> Placed | None:
    """A random place for the plate in a scene of `side` pixels, or None where none was found."""
    share = MEDIAN_SIZE * np.exp(rng.normal(0.0, limits.size_spread))
    size = float(np.clip(share, *_SIZES)) * side
    for _ in range(_TRIES):
        x, y = rng.uniform(0.3 * size, side - 0.3 * size, 2)
        corners = street.corners(rng, (float(x) - 0.5, float(y) - 0.5), size, conditions)
        box = visible_box(plate, corners, side)
        if box is not None and all(_overlap(box, other) <= limits.overlap for other in taken):
            return Placed(size, corners, box)
    return None


def visible_box(plate: Plate, corners: Float32Array, side: int) -> Box | None:
    """The tight box of the plate's outline inside the image; None where too little is inside.

    `corners` (4, 2) float32 are pixel centres, clockwise from the top left.
    """
    unit = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], np.float32)
    # Edges of pixels lie half a pixel from their centres.
    matrix = cv2.getPerspectiveTransform(unit, corners + np.float32(0.5))
    outline = cv2.perspectiveTransform(np.array(plate.outline, np.float32)[None], matrix)[0]
    if outline.min() < 0 or outline.max() > side:
        whole = cv2.contourArea(outline)
        frame = np.array([(0, 0), (side, 0), (side, side), (0, side)], np.float32)
        inside, polygon = cv2.intersectConvexConvex(outline, frame)
        if inside < _LEAST_INSIDE * whole:
            return None
        # Clipped once more: an intersection may lie a rounding error outside.
        outline = np.clip(polygon[:, 0], 0, side)
    (x1, y1), (x2, y2) = outline.min(axis=0), outline.max(axis=0)
    return float(x1), float(y1), float(x2), float(y2)


def _overlap(one: Box, other: Box) -> float:
    """The share of the smaller box that lies in the other."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    if wide <= 0 or high <= 0:
        return 0.0
    areas = ((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return wide * high / min(areas)
