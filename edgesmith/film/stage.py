"""Where a film plays: a background wider than the picture, a camera that pans, posts in front."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edgesmith.data.signs import scene as street
from edgesmith.data.signs.conditions import Conditions
from edgesmith.preprocess import UInt8Array

# How far the camera pans to either side, as a share of the picture's width, and its periods.
PAN = 0.12
_PERIODS_S = (9.0, 14.0)
_POSTS = (1, 2)
_POST_WIDTH = (0.03, 0.14)


@dataclass(frozen=True, eq=False)
class Stage:
    """`ground` (H, W, 3) uint8 RGB with `border` pixels more than the picture on every side.

    `front` (H, W) bool is where something stands in front of all plates, and looks as the ground.
    """

    ground: UInt8Array
    front: npt.NDArray[np.bool_]
    border: int
    periods_s: tuple[float, float]
    phases: tuple[float, float]

    def pan(self, time_s: float) -> tuple[float, float]:
        """How far the camera looks to the right and down of the middle, in pixels."""
        reach = (self.border - 1) * np.array([1.0, 0.4])
        turns = time_s / np.array(self.periods_s) + np.array(self.phases)
        across, down = reach * np.sin(2 * np.pi * turns)
        return float(across), float(down)

    def view(self, time_s: float, width: int, height: int) -> tuple[UInt8Array, UInt8Array]:
        """(height, width, 3) uint8 of the ground and (height, width) 0 to 255 of what is in front.

        Shifted by parts of a pixel: a camera does not move in whole ones.
        """
        across, down = self.pan(time_s)
        shift = np.array([(1, 0, -self.border - across), (0, 1, -self.border - down)], np.float32)
        size = (width, height)
        ground = cv2.warpAffine(self.ground, shift, size, flags=cv2.INTER_LINEAR)
        front = cv2.warpAffine(
            self.front.astype(np.uint8) * 255, shift, size, flags=cv2.INTER_LINEAR
        )
        return np.asarray(ground, np.uint8), np.asarray(front, np.uint8)


def build(seed: int, width: int, height: int, conditions: Conditions) -> Stage:
    """The stage of a film; its arguments alone decide every pixel."""
    rng = np.random.default_rng([seed, 1])
    border = max(round(PAN * width), 1)
    side = max(width, height) + 2 * border
    ground = street.background(rng, side, conditions)[: height + 2 * border, : width + 2 * border]
    ground = np.ascontiguousarray(ground)
    front = np.zeros(ground.shape[:2], np.uint8)
    for _ in range(int(rng.integers(*_POSTS, endpoint=True))):
        _post(rng, ground, front, width)
    return Stage(
        ground=ground,
        front=front.astype(np.bool_),
        border=border,
        periods_s=(float(rng.uniform(*_PERIODS_S)), float(rng.uniform(*_PERIODS_S))),
        phases=(float(rng.random()), float(rng.random())),
    )


def _post(rng: np.random.Generator, ground: UInt8Array, front: UInt8Array, width: int) -> None:
    """A pole or a trunk from top to bottom, leaning a little."""
    rows, columns = front.shape
    thick = float(rng.uniform(*_POST_WIDTH)) * width
    top, foot = rng.uniform(0.1, 0.9) * columns + rng.uniform(-0.05, 0.05, 2) * columns
    corners = np.rint([(top, 0), (top + thick, 0), (foot + thick, rows), (foot, rows)]).astype(
        np.int32
    )
    grey = int(rng.integers(40, 170))
    colour = tuple(int(value) for value in np.clip(grey + rng.normal(0, 20, 3), 0, 255))
    cv2.fillPoly(ground, [corners], colour)
    cv2.fillPoly(front, [corners], 1)
