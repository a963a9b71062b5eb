"""Images of single signs for classification, each reproducible on its own."""

from __future__ import annotations

import numpy as np

from edgesmith.data.signs import camera, scene
from edgesmith.data.signs.conditions import Conditions
from edgesmith.data.signs.faces import LABELS, face
from edgesmith.preprocess import UInt8Array

# Part of every image's seed: a split keeps its images whatever other splits hold.
_SPLIT_SEEDS = {"train": 0, "val": 1, "test": 2, "calibration": 3}


def label_of(index: int) -> int:
    """Class of an image by its place in the split: classes take turns, so every split is even."""
    return index % len(LABELS)


def sign_image(seed: int, split: str, index: int, side: int, difficulty: float) -> UInt8Array:
    """(side, side, 3) uint8 RGB image number `index` of a split, showing one sign.

    The arguments alone decide every pixel; no image depends on another. Each image draws how hard
    it is, from clean up to `difficulty`: easy ones teach a network what to look for, hard ones keep
    it from perfection. (In one and the same schedule MobileNetV2 ended at 41 % with all images at
    0.85, and at 83 % with images from 0 to 1.)
    """
    rng = np.random.default_rng([seed, _SPLIT_SEEDS[split], index])
    conditions = Conditions.of(difficulty * rng.random())
    size = side * rng.uniform(*conditions.sign_size)
    middle = (side - 1) / 2 + rng.uniform(-1, 1, 2) * conditions.offset * side
    where = scene.corners(rng, (float(middle[0]), float(middle[1])), size, conditions)
    canvas = scene.background(rng, side, conditions)
    clean = face(LABELS[label_of(index)], size)
    scene.paste(canvas, scene.weather(rng, clean, conditions), where)
    if rng.random() < conditions.occlusion_chance:
        scene.occlude(rng, canvas, where, rng.uniform(0.3, 1.0) * conditions.occlusion_share)
    return camera.expose(rng, canvas, conditions)


def contact_sheet(seed: int, side: int, difficulty: float, rows: int) -> UInt8Array:
    """A grid of test images for looking at, a column per class."""
    count = len(LABELS)
    grid = [
        [sign_image(seed, "test", label + row * count, side, difficulty) for label in range(count)]
        for row in range(rows)
    ]
    return np.vstack([np.hstack(row) for row in grid])
