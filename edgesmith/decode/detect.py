"""A detector's maps to boxes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from edgesmith.boxes import Boxes
from edgesmith.errors import ContractError, ModelError
from edgesmith.preprocess import letterbox_geometry

if TYPE_CHECKING:  # training decodes too, and does not depend on contracts
    from edgesmith.contract import Description, Output

Float32Array = npt.NDArray[np.float32]
Int64Array = npt.NDArray[np.int64]

# Of YOLO's three levels, in pixels of the input per cell.
STRIDES = (8, 16, 32)


class Detections(NamedTuple):
    """The objects of one image, best first.

    `boxes` (n, 4) float32 x1 y1 x2 y2 in pixels, `scores` (n,) float32 in [0, 1], `classes` (n,)
    int64, an index into the labels.
    """

    boxes: Float32Array
    scores: Float32Array
    classes: Int64Array


def objects(
    predictions: Float32Array,
    contract: Description,
    height: int,
    width: int,
    boxes: Boxes | None = None,
) -> Detections:
    """The objects in an image of `height` × `width` pixels, in its own pixels.

    `predictions` is (cells, 4 + classes): what a session gives for the fitted image. `boxes`
    stands in for the contract's own thresholds. Raises as `detect` does.
    """
    name = f"artifacts/{contract.variant}/{contract.format}"
    rule = boxes or contract.boxes
    if rule is None:
        raise ContractError(
            f"{name}: its contract has no `boxes`, which say how maps become boxes; export the "
            "detector again"
        )
    spec = contract.input.preprocess
    try:
        fitted = detect(predictions, rule, spec.height, spec.width, strides(contract.outputs))
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error
    inner = letterbox_geometry(height, width, spec)
    return fitted._replace(boxes=inner.undo(fitted.boxes, height, width))


def strides(outputs: Iterable[Output]) -> tuple[int, ...]:
    """Pixels per cell of a detector's levels, finest first."""
    return tuple(sorted({output.stride for output in outputs if output.stride is not None}))


def detect(
    predictions: Float32Array,
    boxes: Boxes,
    height: int,
    width: int,
    strides: Sequence[int] = STRIDES,
) -> Detections:
    """The objects in one image that was fitted to `height` × `width`, in pixels of it.

    `predictions` is (cells, 4 + classes) float32, the cells of each level row by row, the levels
    in the order of `strides`: distances to the left, top, right and bottom edge in cells, and one
    logit per class. Boxes may reach beyond the image. At most `boxes.max_detections`, of equal
    scores the earlier cell first. Raises ContractError when the number of cells is not that of
    the size, ModelError when a prediction is no number.
    """
    counts = [(height // stride) * (width // stride) for stride in strides]
    if predictions.ndim != 2 or len(predictions) != sum(counts) or predictions.shape[1] < 5:
        raise ContractError(
            f"predictions are {predictions.shape}; {height}×{width} pixels at strides "
            f"{', '.join(map(str, strides))} take ({sum(counts)}, 4 + classes): use the size in "
            "the artifact's contract"
        )
    if not np.isfinite(predictions).all():
        raise ModelError(
            "the detector gives NaN or infinity: a value overflows in its precision; export it in "
            "a wider one"
        )
    likely = predictions[:, 4:] >= np.float32(_logit(boxes.score_threshold))
    # In one dimension: numpy looks for what is true in two 14 times slower (8400 × 80: 2.2 ms).
    cells, classes = np.divmod(np.flatnonzero(likely), likely.shape[1])
    logits = predictions[cells, 4 + classes]
    if boxes.head == "one-to-one":
        kept = _best(logits, boxes.max_detections)
        corners = _corners(predictions, cells[kept], counts, width, strides)
    else:
        order = np.argsort(-logits, kind="stable")
        candidates = _corners(predictions, cells[order], counts, width, strides)
        unique = _suppress(candidates, classes[order], boxes)
        kept, corners = order[unique], candidates[unique]
    with np.errstate(over="ignore"):  # of a logit below -88: its score is 0
        scores = 1 / (1 + np.exp(-logits[kept]))
    return Detections(corners, scores.astype(np.float32), classes[kept].astype(np.int64))


def _best(values: Float32Array, count: int) -> Int64Array:
    """Indices of the `count` largest, largest first, of equal ones the earlier first."""
    candidates = np.arange(len(values))
    if len(values) > count:
        # Sorting the ten thousands that a low threshold leaves takes longer than the rest together.
        lowest = np.partition(values, len(values) - count)[len(values) - count]
        candidates = np.flatnonzero(values >= lowest)
    return candidates[np.argsort(-values[candidates], kind="stable")][:count]


def _corners(
    predictions: Float32Array,
    cells: Int64Array,
    counts: Sequence[int],
    width: int,
    strides: Sequence[int],
) -> Float32Array:
    """(n, 4) x1 y1 x2 y2 of the chosen cells."""
    level = np.searchsorted(np.cumsum(counts), cells, side="right")
    stride = np.asarray(strides)[level]
    within = cells - (np.cumsum(counts) - counts)[level]
    row, column = np.divmod(within, width // stride)
    centre = np.stack([column, row, column, row], axis=1) + 0.5
    distances = predictions[cells, :4] * np.asarray([-1, -1, 1, 1])
    result: Float32Array = ((centre + distances) * stride[:, None]).astype(np.float32)
    return result


def _suppress(corners: Float32Array, classes: Int64Array, boxes: Boxes) -> Int64Array:
    """Indices that are left of boxes, best first, when a better one of the class covers others."""
    x1, y1, x2, y2 = corners.T.astype(np.float64)
    area = np.maximum(x2 - x1, 0) * np.maximum(y2 - y1, 0)
    members = {int(kind): np.flatnonzero(classes == kind) for kind in np.unique(classes)}
    free = np.ones(len(corners), np.bool_)
    kept: list[int] = []
    for best in range(len(corners)):
        if not free[best]:
            continue
        kept.append(best)
        if len(kept) == boxes.max_detections:
            break
        rest = members[int(classes[best])]
        rest = rest[(rest > best) & free[rest]]
        wide = np.minimum(x2[best], x2[rest]) - np.maximum(x1[best], x1[rest])
        high = np.minimum(y2[best], y2[rest]) - np.maximum(y1[best], y1[rest])
        shared = np.maximum(wide, 0) * np.maximum(high, 0)
        # Not a quotient: two boxes without area share nothing.
        free[rest[shared > boxes.iou_threshold * (area[best] + area[rest] - shared)]] = False
    return np.asarray(kept, np.int64)


def _logit(share: float) -> float:
    """The logit of a score; infinite for 0 and 1."""
    if share in (0, 1):
        return math.inf if share else -math.inf
    return math.log(share / (1 - share))
