"""How well an artifact does on the test split, and against what it came from (numpy only).

References are logits of the torch graphs on the same images in the same order, so that every
comparison is paired: two networks of 90 % that err on the same images differ less than their
intervals suggest, and this is the design that can tell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from edgesmith import files
from edgesmith.contract import Description
from edgesmith.errors import ContractError, ModelError
from edgesmith.intervals import Z95, Bounds, Interval

Float32Array = npt.NDArray[np.float32]

# Beyond this, two float32 computations of one network are the same but for the order of additions;
# identical logits, with no noise at all, are given this value.
_MAX_SQNR_DB = 200.0


# How tables name the metrics of the records.
METRICS = {"top1": "top-1", "map50_95": "mAP50-95"}


class Accuracy(BaseModel):
    """`metrics/accuracy/<variant>.<format>.json`: one evaluated cell; the same keys in every file.

    Shares in [0, 1]: `value` is top-1 of a classifier, COCO's average precision over IoU 0.5 to
    0.95 of a detector, whose `map…` are the same at IoU 0.5 and by the objects' size.
    `delta_vs_baseline` is artifact minus baseline, paired over images; `self` is the torch graph
    that the artifact was exported from, rounding simulated. Agreement is the share of images of
    the same class, or of detections that both have. Keys without a reference to compare with, or
    without an object of that size, are absent.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    variant: str
    format: str
    precision: str
    task: str
    metric: Literal["top1", "map50_95"]
    value: float = Field(ge=0, le=1)
    value_ci95: Bounds
    map50: float | None = None
    map_small: float | None = None
    map_medium: float | None = None
    map_large: float | None = None
    delta_vs_baseline: float | None = None
    delta_ci95: Bounds | None = None
    agreement_vs_parent: float | None = None
    sqnr_db: float | None = None
    agreement_vs_self: float | None = None
    value_of_self: float | None = None
    images: int = Field(gt=0)
    size_bytes: int = Field(gt=0)
    params: int = Field(ge=0)
    macs: int = Field(ge=0)
    runtime: str
    providers: str
    threads: int = Field(gt=0)


def refuse_broken(contract: Description, outputs: Float32Array) -> None:
    """ModelError when an artifact gives, for any of N images, what is no number."""
    broken = int(np.sum(~np.isfinite(outputs).reshape(len(outputs), -1).all(axis=1)))
    if broken:
        raise ModelError(
            f"artifacts/{contract.variant}/{contract.format}: NaN or infinity for {broken} of "
            f"{len(outputs)} images: a value overflows in {contract.precision}; export it in a "
            "wider precision"
        )


def complete(
    contract: Description,
    measured: Mapping[str, object],
    *,
    runtime: str,
    providers: tuple[str, ...],
    threads: int,
) -> Accuracy:
    """The record of what was measured of an artifact, by which runtime, with what it is."""
    return Accuracy.model_validate(
        {
            "variant": contract.variant,
            "format": contract.format,
            "precision": contract.precision,
            "task": contract.task,
            "size_bytes": sum(file.size_bytes for file in contract.files.values()),
            "params": contract.params,
            "macs": contract.macs,
            "runtime": runtime,
            "providers": " ".join(providers),
            "threads": threads,
            **measured,
        }
    )


def wilson_interval(successes: int, trials: int) -> Interval:
    """95 % interval of a share (Wilson, 1927): right near 0 and 1, where the normal one is not."""
    share = successes / trials
    z2 = Z95**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z95 * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def paired_difference(
    right: npt.NDArray[np.bool_], reference_right: npt.NDArray[np.bool_]
) -> tuple[float, Interval]:
    """Share right minus reference's share right on the same images, and its 95 % interval.

    Only images that exactly one of the two gets right carry information. The interval is the
    adjusted Wald one of Bonett and Price (2012): half an image is added to either kind, so that
    no disagreement at all still leaves an interval of honest width.
    """
    count = len(right)
    gained = int(np.sum(right & ~reference_right))
    lost = int(np.sum(~right & reference_right))
    share_gained, share_lost = (gained + 1) / (count + 2), (lost + 1) / (count + 2)
    centre = share_gained - share_lost
    half = Z95 * math.sqrt((share_gained + share_lost - centre**2) / (count + 2))
    return (gained - lost) / count, Interval(max(-1.0, centre - half), min(1.0, centre + half))


def unpaired_difference(
    share: float, interval: Bounds, other: float, other_interval: Bounds
) -> tuple[float, Interval]:
    """Share minus other, and its 95 % interval from their own (Newcombe, 1998, method 10).

    For two records without a common reference; wider than the paired interval.
    """
    difference = share - other
    low = difference - math.hypot(share - interval.low, other_interval.high - other)
    high = difference + math.hypot(interval.high - share, other - other_interval.low)
    return difference, Interval(low, high)


def sqnr_db(logits: Float32Array, reference: Float32Array) -> float:
    """Power of the reference over the power of the difference, in decibels; at most 200.

    Logits that are no numbers get -200.
    """
    signal = np.sum(np.square(reference.astype(np.float64)))
    noise = np.sum(np.square(logits.astype(np.float64) - reference.astype(np.float64)))
    if noise == 0:
        return _MAX_SQNR_DB
    if not np.isfinite(noise):
        return -_MAX_SQNR_DB
    return min(_MAX_SQNR_DB, 10 * math.log10(max(float(signal), 1e-300) / float(noise)))


def write(record: Accuracy, path: Path) -> None:
    """Write the metric file; keys without a value are left out."""
    files.write_json(path, record.model_dump(mode="json", exclude_none=True))


def read(path: Path) -> Accuracy:
    """Parse a metric file; ContractError names the key that does not fit."""
    remedy = "not an accuracy record of this version of edgesmith: remove it and run `dvc repro`"
    return files.read_record(path, Accuracy, ContractError, missing=remedy, damaged=remedy)
