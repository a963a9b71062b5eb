"""How well a classifier does on the test split, and against what it came from (numpy only).

References are logits of the torch graphs on the same images in the same order, so that every
comparison is paired: two networks of 90 % that err on the same images differ less than their
intervals suggest, and this is the design that can tell.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgesmith.contract import Description
from edgesmith.errors import ModelError
from edgesmith.intervals import Bounds
from edgesmith.report.accuracy import (
    Accuracy,
    Float32Array,
    complete,
    paired_difference,
    refuse_broken,
    sqnr_db,
    wilson_interval,
)
from edgesmith.scoring.classify import agreement


def assess(
    contract: Description,
    logits: Float32Array,
    labels: npt.NDArray[np.int64],
    references: dict[str, Float32Array],
    *,
    runtime: str,
    providers: tuple[str, ...],
    threads: int,
) -> Accuracy:
    """The record of an artifact that gave `logits` (N, classes) for images of classes `labels`.

    `references` may hold logits (N, classes) named "self" (the torch graph it was exported from),
    "parent" and "baseline". Raises ModelError when one is of another shape, or when the artifact
    gives what is no number.
    """
    refuse_broken(contract, logits)
    for name, reference in references.items():
        if reference.shape != logits.shape:
            raise ModelError(
                f"models/{contract.variant}/reference.safetensors: {name} is {reference.shape}, "
                f"the artifact gives {logits.shape}; the test split or the labels changed: "
                "run `dvc repro`"
            )
    right = logits.argmax(axis=1) == labels
    record: dict[str, object] = {}
    if "baseline" in references:
        reference_right = references["baseline"].argmax(axis=1) == labels
        delta, interval = paired_difference(right, reference_right)
        record["delta_vs_baseline"] = round(delta, 6)
        record["delta_ci95"] = Bounds.of(interval, 6)
    if "parent" in references:
        record["agreement_vs_parent"] = round(agreement(logits, references["parent"]), 6)
        record["sqnr_db"] = round(sqnr_db(logits, references["parent"]), 3)
    if "self" in references:
        record["agreement_vs_self"] = round(agreement(logits, references["self"]), 6)
        own = references["self"].argmax(axis=1) == labels
        record["value_of_self"] = round(float(np.mean(own)), 6)
    record |= {
        "metric": "top1",
        "value": round(float(np.mean(right)), 6),
        "value_ci95": Bounds.of(wilson_interval(int(right.sum()), len(right)), 6),
        "images": len(right),
    }
    return complete(contract, record, runtime=runtime, providers=providers, threads=threads)
