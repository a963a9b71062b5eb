"""True tracks of a film, and how good tracks are against them (py-motmetrics)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import motmetrics
import numpy as np
import numpy.typing as npt

from edgesmith.serve.result import Seen

# Of boxes that belong together, as MOTChallenge has it.
_IOU = 0.5


class Sign(NamedTuple):
    """A true box `(4,)` x1 y1 x2 y2 of a track; not `judged` where too little of it is visible."""

    track: int
    label: int
    box: tuple[float, float, float, float]
    judged: bool


class Quality(NamedTuple):
    """IDF1 and MOTA in percent, and what they are made of, over all films."""

    idf1: float
    mota: float
    switches: int
    misses: int
    false_positives: int
    signs: int


def read(path: Path) -> dict[int, list[Sign]]:
    """By frame (from 0) what a `gt.txt` of `edgesmith.film` says."""
    frames: dict[int, list[Sign]] = defaultdict(list)
    for line in path.read_text().splitlines():
        frame, track, left, top, width, height, judged, label, _ = map(float, line.split(","))
        box = (left, top, left + width, top + height)
        frames[int(frame) - 1].append(Sign(int(track), int(label) - 1, box, judged == 1))
    return frames


def accumulate(
    truth: Mapping[int, Sequence[Sign]], answers: Sequence[Sequence[Seen]]
) -> motmetrics.MOTAccumulator:
    """What py-motmetrics needs of one film; `answers` has the objects of every frame.

    As MOTChallenge does with what is not judged: answers that match such a sign are left out before
    counting. Labels do not matter.
    """
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    for number, objects in enumerate(answers):
        signs = truth.get(number, [])
        given = [found for found in objects if found.box is not None and found.track is not None]
        kept = _judged(signs, given)
        judged = [sign for sign in signs if sign.judged]
        accumulator.update(
            [sign.track for sign in judged],
            [found.track for found in kept],
            _distances([sign.box for sign in judged], [found.box for found in kept]),
        )
    return accumulator


def quality(accumulators: Sequence[motmetrics.MOTAccumulator]) -> Quality:
    """Over all films together."""
    host = motmetrics.metrics.create()
    names = [
        "idf1",
        "mota",
        "num_switches",
        "num_misses",
        "num_false_positives",
        "num_objects",
    ]
    table = host.compute_many(
        list(accumulators),
        metrics=names,
        names=[str(number) for number in range(len(accumulators))],
        generate_overall=True,
    ).loc["OVERALL"]
    return Quality(
        100 * float(table["idf1"]), 100 * float(table["mota"]), *(int(table[k]) for k in names[2:])
    )


def _judged(signs: Sequence[Sign], given: Sequence[Seen]) -> list[Seen]:
    """Answers without those whose best partner is a sign that is not judged."""
    distances = _distances([sign.box for sign in signs], [found.box for found in given])
    rows, columns = motmetrics.lap.linear_sum_assignment(distances)
    drop = {
        int(column)
        for row, column in zip(rows, columns, strict=True)
        if not signs[row].judged and np.isfinite(distances[row, column])
    }
    return [found for place, found in enumerate(given) if place not in drop]


def _distances(true: Sequence[object], given: Sequence[object]) -> npt.NDArray[np.float64]:
    """1 - IoU; NaN for pairs that overlap too little."""
    one = np.array(true, np.float64).reshape(-1, 4)
    other = np.array(given, np.float64).reshape(-1, 4)
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (one, other)]
    union = areas[0][:, None] + areas[1][None] - shared
    iou = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return np.where(iou >= _IOU, 1 - iou, np.nan)
