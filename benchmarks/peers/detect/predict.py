"""Our chain and Ultralytics' `predict` on the same weights and images: how far apart are they.

Theirs loads, letterboxes, runs its torch model with the one-to-one head and puts boxes back; ours
is preprocessing, ONNX artifact and decoder, as on a device.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ultralytics import YOLO

from benchmarks.peers.detect.record import Parity
from edgesmith.bench.measure import Settings
from edgesmith.boxes import Boxes
from edgesmith.contract import Contract
from edgesmith.decode.detect import Detections, objects
from edgesmith.errors import ContractError
from edgesmith.preprocess import fit, read_image
from edgesmith.runtimes import session as runtimes
from edgesmith.scoring.detect import IOU_THRESHOLDS, iou

# Low, so that hundreds of detections are compared and not only the sure ones.
SCORE = 0.05
# A detection this close to the threshold may be on one side of it alone.
MARGIN = 0.01
_CONFIDENT = 0.25


class Pairs(NamedTuple):
    """Detections of one image in both: distances in pixels and scores, and how many are alone."""

    box_px: list[float]
    score: list[float]
    unmatched: int


def theirs(
    weights: Path, paths: Sequence[Path], boxes: Boxes, size: tuple[int, int]
) -> list[Detections]:
    """What `YOLO(weights).predict` finds in each image, in its pixels.

    A fixed letterbox of `size` (height, width), as artifacts have it, and the NMS-free head.
    """
    found = []
    for result in YOLO(weights, task="detect").predict(
        source=[str(path) for path in paths],
        imgsz=list(size),
        rect=False,
        nms=False,
        conf=boxes.score_threshold,
        max_det=boxes.max_detections,
        device="cpu",
        batch=1,
        stream=True,
        verbose=False,
        save=False,
    ):
        given = result.boxes
        found.append(
            Detections(
                given.xyxy.numpy().astype(np.float32),
                given.conf.numpy().astype(np.float32),
                given.cls.numpy().astype(np.int64),
            )
        )
    return found


def ours(
    artifact: Path, paths: Iterable[Path], boxes: Boxes, settings: Settings
) -> list[Detections]:
    """What the artifact finds in each image, in its pixels."""
    session = runtimes.load(artifact, settings.threads, settings.providers)
    contract = session.contract
    found = []
    for path in paths:
        image = read_image(path)
        values = runtimes.predict(session, fit(image, contract.input.preprocess)[None])
        height, width = image.shape[:2]
        found.append(objects(values[0], contract, height, width, boxes))
    return found


def rule(contract: Contract) -> Boxes:
    """The contract's, from `SCORE` up; ContractError for another head than the one compared."""
    if contract.boxes is None or contract.boxes.head != "one-to-one":
        raise ContractError(
            f"artifacts/{contract.variant}/{contract.format}: parity is that of the one-to-one "
            "head; name a detector with `head: one-to-one`"
        )
    return contract.boxes.model_copy(update={"score_threshold": SCORE})


def pair(one: Detections, other: Detections, alone_from: float) -> Pairs:
    """Each detection with the best-overlapping free one of its class, surest first.

    At least half of the union must be shared. `unmatched` counts those on either side whose score
    is `alone_from` or more.
    """
    overlaps = iou(one.boxes, other.boxes)
    overlaps[one.classes[:, None] != other.classes[None]] = 0
    box_px, score = [], []
    left, right = np.ones(len(one.scores), np.bool_), np.ones(len(other.scores), np.bool_)
    for row in np.argsort(-one.scores, kind="stable"):
        free = np.where(right, overlaps[row], 0)
        if not free.size or free.max() < IOU_THRESHOLDS[0]:
            continue
        # Two copies of a box overlap it alike: the one of the nearer score is its partner.
        best = np.flatnonzero(free >= free.max() - 1e-3)
        column = best[np.argmin(np.abs(other.scores[best] - one.scores[row]))]
        left[row] = right[column] = False
        box_px.append(float(np.abs(one.boxes[row] - other.boxes[column]).max()))
        score.append(float(abs(one.scores[row] - other.scores[column])))
    alone = sum(
        int((free & (found.scores >= alone_from)).sum())
        for free, found in ((left, one), (right, other))
    )
    return Pairs(box_px, score, alone)


def parity(
    one: Sequence[Detections],
    other: Sequence[Detections],
    *,
    variant: str,
    epochs: int,
    size: tuple[int, int],
) -> Parity:
    """The record of our detections `one` beside theirs `other`, image by image.

    Raises ContractError when nothing is found by both: weights that find nothing prove nothing.
    """
    pairs = [pair(*both, SCORE + MARGIN) for both in zip(one, other, strict=True)]
    distances = [value for found in pairs for value in found.box_px]
    scores = [value for found in pairs for value in found.score]
    if not distances:
        raise ContractError(
            f"{variant}: no detection of score {SCORE} in common; train it for longer"
        )
    return Parity(
        variant=variant,
        epochs=epochs,
        input=f"{size[1]}×{size[0]}",
        images=len(pairs),
        score=SCORE,
        margin=MARGIN,
        ours=sum(len(found.scores) for found in one),
        theirs=sum(len(found.scores) for found in other),
        confident=sum(int((found.scores >= _CONFIDENT).sum()) for found in one),
        matched=len(distances),
        unmatched=sum(found.unmatched for found in pairs),
        max_box_px=round(max(distances), 6),
        median_box_px=round(float(np.median(distances)), 6),
        max_score=round(max(scores), 8),
    )
