"""Street scenes with up to six signs and their boxes, each reproducible on its own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from edgesmith.data.scenes.placing import MEDIAN_SIZE, Box, Limits, Placed, place
from edgesmith.data.scenes.plates import LABELS, Plate, others, signs
from edgesmith.data.signs import camera
from edgesmith.data.signs import scene as street
from edgesmith.data.signs.conditions import Conditions
from edgesmith.preprocess import Float32Array, UInt8Array

# Part of every scene's seed: a split keeps its scenes whatever other splits hold.
_SPLIT_SEEDS = {"train": 0, "val": 1, "test": 2, "calibration": 3}

_MOST_SIGNS = 6
_EMPTY = 0.06
_ON_A_POLE = 0.5


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture and what is in it.

    `image` (size, size, 3) uint8 RGB; `boxes` (n, 4) float32 x1 y1 x2 y2 in pixels, where pixel k
    lies between k and k + 1; `classes` (n,) int64, numbers into `plates.LABELS`.
    """

    image: UInt8Array
    boxes: Float32Array
    classes: npt.NDArray[np.int64]


def scene(seed: int, split: str, index: int, size: int, difficulty: float) -> Scene:
    """Scene number `index` of a split: its arguments alone decide every pixel.

    A box surrounds the outline of a whole sign as far as it is inside the image, also where a leaf,
    a pole or another sign hides a part. Plates without glyph are there too, and have no box. As
    with single signs each scene draws how hard it is, from clean up to `difficulty` (0 to 1).
    """
    # The last number keeps scenes apart from the single signs of the same seed.
    rng = np.random.default_rng([seed, _SPLIT_SEEDS[split], index, 1])
    hardness = difficulty * rng.random()
    conditions, limits = Conditions.of(hardness), Limits.of(hardness)
    # Lens and hand do not know how large a sign is: less of them reaches one that is a part of it.
    conditions = replace(conditions, blur=conditions.blur * MEDIAN_SIZE)
    canvas = street.background(rng, size, conditions)
    classes = rng.integers(0, len(LABELS), _count(rng))
    plates = [(int(label), _any(rng, signs(LABELS[label]))) for label in classes]
    plates += [(-1, _any(rng, others())) for _ in range(rng.poisson(limits.other_plates))]
    taken: list[Box] = []
    kept: list[int] = []
    boxes: list[Box] = []
    for number in rng.permutation(len(plates)):
        label, plate = plates[number]
        placed = place(rng, plate, size, conditions, limits, taken)
        if placed is None:
            continue
        _draw(rng, canvas, plate, placed, conditions)
        taken.append(placed.box)
        if label >= 0:
            kept.append(label)
            boxes.append(placed.box)
    return Scene(
        camera.expose(rng, canvas, conditions),
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(kept, np.int64),
    )


def contact_sheet(seed: int, side: int, difficulty: float, rows: int, columns: int) -> UInt8Array:
    """A grid of test scenes with their boxes drawn, for looking at."""
    colours = [(255, 80, 80), (80, 160, 255), (255, 220, 60), (255, 80, 255), (80, 255, 120)]
    colours.append((80, 255, 255))
    tiles = []
    for index in range(rows * columns):
        shown = scene(seed, "test", index, side, difficulty)
        tile = shown.image.copy()
        for (x1, y1, x2, y2), label in zip(shown.boxes.tolist(), shown.classes, strict=True):
            first, last = (round(x1), round(y1)), (round(x2) - 1, round(y2) - 1)
            cv2.rectangle(tile, first, last, colours[label % len(colours)], 1)
        tiles.append(tile)
    lines = [np.hstack(tiles[row * columns : (row + 1) * columns]) for row in range(rows)]
    return np.vstack(lines)


def _count(rng: np.random.Generator) -> int:
    if rng.random() < _EMPTY:
        return 0
    return 1 + int(rng.binomial(_MOST_SIGNS - 1, 0.4))


def _any(rng: np.random.Generator, plates: tuple[Plate, ...]) -> Plate:
    return plates[int(rng.integers(len(plates)))]


def _draw(
    rng: np.random.Generator,
    canvas: UInt8Array,
    plate: Plate,
    placed: Placed,
    conditions: Conditions,
) -> None:
    """The plate on its pole, weathered, perhaps with something in front of it."""
    where = placed.corners
    if rng.random() < _ON_A_POLE:
        _pole(rng, canvas, where)
    face = street.weather(rng, plate.face(placed.size), conditions)
    # Warping onto a part of the canvas alone: six signs on all of it would take 6 ms.
    low = np.maximum(np.floor(where.min(axis=0)).astype(int) - 1, 0)
    high = np.ceil(where.max(axis=0)).astype(int) + 2
    part = canvas[low[1] : high[1], low[0] : high[0]]
    street.paste(part, face, where - low.astype(np.float32))
    if rng.random() < conditions.occlusion_chance:
        street.occlude(rng, canvas, where, rng.uniform(0.3, 1.0) * conditions.occlusion_share)


def _pole(rng: np.random.Generator, canvas: UInt8Array, where: Float32Array) -> None:
    x, y = (int(v) for v in where.mean(axis=0))
    grey = int(rng.integers(60, 190))
    thickness = max(1, round(float(np.ptp(where[:, 0])) * 0.08))
    foot = (x + int(rng.integers(-3, 4)), canvas.shape[0])
    cv2.line(canvas, (x, y), foot, (grey, grey, grey), thickness, cv2.LINE_AA)
