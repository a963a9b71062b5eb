"""Which detections find an object, and the average precision that follows (numpy only).

The rules are COCO's: ten thresholds of overlap, the best 100 detections of a class per image,
precision interpolated at 101 recalls. Matching is done once; a resampled set of images then only
weighs what was matched, which makes a bootstrap of average precision a matter of seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgesmith.decode.detect import Detections

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# Below this score a detection changes no average precision that anyone would deploy; Ultralytics'
# own validation cuts there too.
SCORE_FLOOR = 0.001
# A detection that counts when two artifacts are compared: the threshold that most users keep.
CONFIDENT = 0.25
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
_PER_IMAGE = 100
# Numbers that a piece of the bootstrap holds at once: 64 MB of integers.
_PIECE = 8_000_000


class Truth(NamedTuple):
    """The objects of one image: `boxes` (n, 4) x1 y1 x2 y2 in pixels, `classes` (n,)."""

    boxes: Float32Array
    classes: Int64Array


class _OfClass(NamedTuple):
    """Detections of one class, best first: image (D,), hit at each threshold (10, D)."""

    image: Int64Array
    hits: BoolArray
    scores: Float64Array


@dataclass(frozen=True)
class Matches:
    """Detections against objects: by class, and `objects` (classes, N) of each class per image."""

    by_class: list[_OfClass]
    objects: Int64Array


def iou(boxes: Float32Array, others: Float32Array) -> Float64Array:
    """(n, m) intersection over union of x1 y1 x2 y2 boxes; 0 where neither has an area."""
    a, b = boxes.astype(np.float64)[:, None], others.astype(np.float64)[None]
    shared = np.prod(
        np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None),
        axis=2,
    )
    areas = [np.prod(np.clip(box[..., 2:] - box[..., :2], 0, None), axis=2) for box in (a, b)]
    union = areas[0] + areas[1] - shared
    result: Float64Array = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return result


def match(detections: Sequence[Detections], truth: Sequence[Truth], classes: int) -> Matches:
    """Every detection against the objects of its image and class, at the ten thresholds.

    `detections` and `truth` are of the same images in the same order and pixels.
    """
    if len(detections) != len(truth):
        raise ValueError(f"detections of {len(detections)} images, objects of {len(truth)}")
    objects = np.array(
        [np.bincount(image.classes, minlength=classes) for image in truth], np.int64
    ).reshape(len(truth), classes)
    found = [_match_class(detections, truth, number) for number in range(classes)]
    return Matches(found, objects.T)


def average_precision(matches: Matches, weights: Int64Array | None = None) -> Float64Array:
    """(R, 10) average precision per threshold, the mean over classes that have an object.

    `weights` (R, N): how often each image counts in each of R samples; without it one sample in
    which each counts once. NaN where a sample holds no object at all.
    """
    samples = np.ones((1, matches.objects.shape[1]), np.int64) if weights is None else weights
    longest = max((len(own.image) for own in matches.by_class), default=0)
    step = max(1, _PIECE // max(1, longest))
    pieces = [
        _mean_of_classes(matches, samples[start : start + step])
        for start in range(0, len(samples), step)
    ]
    return np.concatenate(pieces)


def mean_average_precision(
    detections: Sequence[Detections], truth: Sequence[Truth], classes: int
) -> float:
    """COCO's mAP50-95 in [0, 1]; 0 where the images hold no object."""
    value = float(average_precision(match(detections, truth, classes)).mean())
    return 0.0 if np.isnan(value) else value


def precision_at_recall(matches: Matches) -> Float64Array:
    """(101,) interpolated precision at IoU 0.5 over RECALLS, the mean of classes with an object."""
    once = np.ones((1, matches.objects.shape[1]), np.int64)
    curves = [
        _interpolated(own, 0, once, np.cumsum(once[:, own.image], axis=1), count[None])[0]
        for own, count in zip(matches.by_class, matches.objects.sum(axis=1), strict=True)
        if count
    ]
    return np.mean(curves, axis=0) if curves else np.zeros(len(RECALLS))


def resample(images: int, samples: int, seed: int) -> Int64Array:
    """(samples, images): how often each image is drawn when `images` are drawn with replacement."""
    random = np.random.default_rng(seed)
    return random.multinomial(images, np.full(images, 1 / images), size=samples).astype(np.int64)


def agreement(one: Sequence[Detections], other: Sequence[Detections], score: float) -> float:
    """Share of detections of `score` or more, of both sides, that the other side has too.

    It has it when one of its own of `score` or more is of the same class and overlaps by half or
    more. 1 when neither side has any.
    """
    shared = total = 0
    for pair in zip(one, other, strict=True):
        left, right = (_confident(found, score) for found in pair)
        partners = (iou(left.boxes, right.boxes) >= IOU_THRESHOLDS[0]) & (
            left.classes[:, None] == right.classes[None]
        )
        shared += int(partners.any(axis=1).sum() + partners.any(axis=0).sum())
        total += len(left.scores) + len(right.scores)
    return shared / total if total else 1.0


def _confident(found: Detections, score: float) -> Detections:
    chosen = found.scores >= score
    return Detections(found.boxes[chosen], found.scores[chosen], found.classes[chosen])


def _match_class(detections: Sequence[Detections], truth: Sequence[Truth], number: int) -> _OfClass:
    images, hits, scores = [], [], []
    for image, (found, real) in enumerate(zip(detections, truth, strict=True)):
        own = np.flatnonzero(found.classes == number)
        own = own[np.argsort(-found.scores[own], kind="stable")][:_PER_IMAGE]
        if not len(own):
            continue
        overlaps = iou(found.boxes[own], real.boxes[real.classes == number])
        images.append(np.full(len(own), image))
        hits.append(_hits(overlaps))
        scores.append(found.scores[own].astype(np.float64))
    if not images:
        return _OfClass(np.zeros(0, np.int64), np.zeros((10, 0), np.bool_), np.zeros(0))
    joined = np.concatenate(scores)
    order = np.argsort(-joined, kind="stable")
    return _OfClass(
        np.concatenate(images)[order], np.concatenate(hits, axis=1)[:, order], joined[order]
    )


def _hits(overlaps: Float64Array) -> BoolArray:
    """(10, D): the best detection takes the object it overlaps most, then the next one."""
    count, objects = overlaps.shape
    hits = np.zeros((len(IOU_THRESHOLDS), count), np.bool_)
    free = np.ones((len(IOU_THRESHOLDS), objects), np.bool_)
    levels = np.arange(len(IOU_THRESHOLDS))
    # Most detections of a low score touch nothing, and need no turn.
    near = np.flatnonzero((overlaps >= IOU_THRESHOLDS[0]).any(axis=1)) if objects else ()
    for detection in near:
        left = np.where(free, overlaps[detection], -1.0)
        best = objects - 1 - left[:, ::-1].argmax(axis=1)  # of equal ones the last, as in COCO
        taken = left[levels, best] >= IOU_THRESHOLDS
        hits[taken, detection] = True
        free[levels[taken], best[taken]] = False
    return hits


def _mean_of_classes(matches: Matches, weights: Int64Array) -> Float64Array:
    """(R, 10) average precision, the mean over the classes that each sample has an object of."""
    total = np.zeros((len(weights), len(IOU_THRESHOLDS)))
    classes = np.zeros((len(weights), 1))
    for number, own in enumerate(matches.by_class):
        counts = weights @ matches.objects[number]
        seen = np.cumsum(weights[:, own.image], axis=1)
        some = counts > 0
        classes[some] += 1
        for level in range(len(IOU_THRESHOLDS)):
            curve = _interpolated(own, level, weights, seen, counts)
            total[some, level] += curve[some].mean(axis=1)
    return np.divide(total, classes, out=np.full_like(total, np.nan), where=classes > 0)


def _interpolated(
    own: _OfClass, level: int, weights: Int64Array, seen: Int64Array, counts: Int64Array
) -> Float64Array:
    """(R, 101) the best precision at each recall or beyond; 0 where a recall is not reached.

    `seen` (R, D) counts detections down to each, `counts` (R,) objects. Precision peaks at hits
    alone, so that nothing else is looked at.
    """
    places = np.flatnonzero(own.hits[level])
    if not len(places):
        return np.zeros((len(weights), len(RECALLS)))
    right = np.cumsum(weights[:, own.image[places]], axis=1)
    reached = seen[:, places]
    precision = np.divide(right, reached, out=np.zeros(right.shape), where=reached > 0)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    # The fewest hits that make each recall, by the same division that COCO compares with.
    total = np.maximum(counts, 1)[:, None]
    needed = np.floor(RECALLS * total).astype(np.int64)
    needed += needed / total < RECALLS
    # One search for all samples: each row is lifted above the one before.
    lift = np.arange(len(weights))[:, None] * (int(right.max()) + int(total.max()) + 2)
    found = np.searchsorted((right + lift).ravel(), (needed + lift).ravel()).reshape(needed.shape)
    place = found - np.arange(len(weights))[:, None] * len(places)
    padded = np.concatenate([best, np.zeros((len(weights), 1))], axis=1)
    return np.take_along_axis(padded, np.minimum(place, len(places)), axis=1)
