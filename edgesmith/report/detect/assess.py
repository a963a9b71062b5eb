"""How well a detector's artifact does on the test split, and against what it came from.

The counterpart of `report.accuracy` for detectors: the same record, comparisons paired over the
same images. Intervals come from a bootstrap over images, seeded: objects of one image are no
independent sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgesmith.boxes import Boxes
from edgesmith.contract import Description
from edgesmith.decode.detect import Detections, detect, strides
from edgesmith.errors import DataError, ModelError
from edgesmith.intervals import Bounds, Interval
from edgesmith.report import accuracy
from edgesmith.report.accuracy import Accuracy
from edgesmith.report.detect.coco import summarise
from edgesmith.scoring import detect as scoring
from edgesmith.scoring.detect import (
    CONFIDENT,
    SCORE_FLOOR,
    Float32Array,
    Float64Array,
    Matches,
    Truth,
    match,
)

_SAMPLES = 1000
_SEED = 0


def decode_all(contract: Description, predictions: Float32Array) -> list[Detections]:
    """Detections, from `SCORE_FLOOR` up, of each of (N, cells, 4 + classes) predictions.

    In pixels of the fitted images. The head and its suppression are the contract's; the threshold
    is not, for average precision needs the whole curve. Raises ModelError for what is no number.
    """
    if contract.boxes is None:
        raise ModelError(
            f"artifacts/{contract.variant}/{contract.format}: its contract has no `boxes`; export "
            "the detector again"
        )
    accuracy.refuse_broken(contract, predictions)
    rule: Boxes = contract.boxes.model_copy(update={"score_threshold": SCORE_FLOOR})
    spec, levels = contract.input.preprocess, strides(contract.outputs)
    return [detect(image, rule, spec.height, spec.width, levels) for image in predictions]


def assess(
    contract: Description,
    detections: Sequence[Detections],
    truth: Sequence[Truth],
    references: Mapping[str, Sequence[Detections]],
    *,
    runtime: str,
    providers: tuple[str, ...],
    threads: int,
    sqnr_db: float | None = None,
) -> Accuracy:
    """The record of an artifact that found `detections` where `truth` is, in the same pixels.

    `references` may hold detections on the same images named "self" (the torch graph it was
    exported from), "parent" and "baseline". `sqnr_db` is that of the raw predictions against the
    parent's, where both are at hand. Raises ModelError when a reference is of other images,
    DataError when the images hold no object.
    """
    for name, found in [("the artifact", detections), *references.items()]:
        if len(found) != len(truth):
            raise ModelError(
                f"models/{contract.variant}/reference.safetensors: {name} has detections of "
                f"{len(found)} images, the test split has {len(truth)}; run `dvc repro`"
            )
    summary = summarise(detections, truth, contract.labels)
    if summary.map50_95 is None:
        raise DataError(
            f"artifacts/{contract.variant}/{contract.format}: none of {len(truth)} test images "
            "holds an object, so that no precision can be measured; add labelled images"
        )
    own = _Sampled(detections, truth, len(contract.labels))
    record: dict[str, object] = {
        "metric": "map50_95",
        "value": round(summary.map50_95, 6),
        "value_ci95": Bounds.of(_interval(own.samples), 6),
        "map50": _rounded(summary.map50),
        "map_small": _rounded(summary.small),
        "map_medium": _rounded(summary.medium),
        "map_large": _rounded(summary.large),
        "sqnr_db": None if sqnr_db is None else round(sqnr_db, 3),
        "images": len(truth),
    }
    if "baseline" in references:
        baseline = _Sampled(references["baseline"], truth, len(contract.labels))
        record["delta_vs_baseline"] = round(own.value - baseline.value, 6)
        record["delta_ci95"] = Bounds.of(_interval(own.samples - baseline.samples), 6)
    for name in ("parent", "self"):
        if name in references:
            shared = scoring.agreement(detections, references[name], CONFIDENT)
            record[f"agreement_vs_{name}"] = round(shared, 6)
    if "self" in references:
        matches = match(references["self"], truth, len(contract.labels))
        record["value_of_self"] = round(_mean(matches), 6)
    return accuracy.complete(
        contract, record, runtime=runtime, providers=providers, threads=threads
    )


class _Sampled:
    """Average precision on the images, and on the same resampled sets of them for everyone."""

    def __init__(
        self, detections: Sequence[Detections], truth: Sequence[Truth], classes: int
    ) -> None:
        matches = match(detections, truth, classes)
        self.value = _mean(matches)
        weights = scoring.resample(len(truth), _SAMPLES, _SEED)
        self.samples: Float64Array = scoring.average_precision(matches, weights).mean(axis=1)


def _mean(matches: Matches) -> float:
    return float(scoring.average_precision(matches).mean())


def _interval(samples: Float64Array) -> Interval:
    """The middle 95 % of the samples, but for those that drew no object."""
    low, high = np.nanpercentile(samples, [2.5, 97.5])
    return Interval(float(low), float(high))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
