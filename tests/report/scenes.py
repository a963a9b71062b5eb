"""Objects and detections drawn at random, for tests of what is measured of them."""

from __future__ import annotations

import numpy as np

from edgesmith.decode.detect import Detections
from edgesmith.scoring.detect import Truth

LABELS = ["red", "green", "blue"]


def scenes(seed: int, images: int = 30, noise: float = 4.0) -> tuple[list[Detections], list[Truth]]:
    """Objects, and detections that miss some, double some, shift all and invent others."""
    random = np.random.default_rng(seed)
    truth, detections = [], []
    for _ in range(images):
        count = random.integers(0, 6)
        corner = random.uniform(0, 200, (count, 2))
        boxes = np.concatenate([corner, corner + random.uniform(5, 150, (count, 2))], 1)
        kinds = random.integers(0, 2, count)  # never the third
        truth.append(Truth(boxes.astype(np.float32), kinds))
        seen = np.repeat(np.arange(count), random.integers(0, 3, count))
        shifted = boxes[seen] + random.normal(0, noise, (len(seen), 4))
        invented = random.uniform(0, 100, (8, 4)) + np.array([0, 0, 100, 100])
        boxes = np.concatenate([shifted, invented]).astype(np.float32)
        # Scores in steps of a twentieth: ties within an image and between images.
        scores = random.integers(1, 20, len(boxes)) / 20
        classes = np.concatenate([kinds[seen], random.integers(0, 3, 8)])
        detections.append(Detections(boxes, scores.astype(np.float32), classes))
    return detections, truth


def box(*edges: float) -> np.ndarray:
    return np.asarray(edges, np.float32).reshape(-1, 4)


def found(boxes: np.ndarray, scores: list[float], classes: list[int]) -> Detections:
    return Detections(boxes, np.asarray(scores, np.float32), np.asarray(classes, np.int64))


def truth_of(boxes: np.ndarray, classes: list[int]) -> Truth:
    return Truth(boxes, np.asarray(classes, np.int64))
