"""How far what ARM binaries compute is from what x86 ones do, and how far it may be."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgesmith.contract import Contract
from edgesmith.decode import detect
from edgesmith.decode.detect import Detections
from edgesmith.scoring.detect import agreement

Array = npt.NDArray[np.float32]

HEADERS = (
    *("artifact", "format", "precision", "input pixels equal", "cosine", "largest difference"),
    *("of a range of", "top-1 equal", "boxes agree", "within"),
)


class Outputs(NamedTuple):
    """What `outputs.py` wrote."""

    fitted: npt.NDArray[np.uint8]
    outputs: Array
    sizes: npt.NDArray[np.int64]
    engine: str


class Limits(NamedTuple):
    """Least cosine of all outputs together, least share of images or boxes that agree."""

    cosine: float
    agreement: float


# By precision. Sums in another order differ in the last bit of a float, and half precision has
# few; rounding to 8 bits turns such a bit into a whole step now and then.
LIMITS = {
    "fp32": Limits(0.9999, 0.99),
    "fp16": Limits(0.999, 0.98),
    "int8": Limits(0.999, 0.95),
}


class Row(NamedTuple):
    """One artifact on both; `top1` of a classifier, `boxes` of a detector, as shares."""

    variant: str
    format: str
    precision: str
    same_pixels: float
    cosine: float
    largest: float
    spread: float
    top1: float | None
    boxes: float | None
    images: int

    @property
    def faults(self) -> tuple[str, ...]:
        """What is out of bounds, in words."""
        limits = LIMITS[self.precision]
        share = self.top1 if self.top1 is not None else self.boxes
        faults = []
        if not self.cosine >= limits.cosine:
            faults.append(f"cosine {self.cosine:.6f} below {limits.cosine}")
        if share is None or not share >= limits.agreement:
            faults.append(f"agreement {share} below {limits.agreement}")
        return tuple(faults)


def read(path: Path) -> Outputs:
    """What `outputs.py` wrote into `path`."""
    with np.load(path) as stored:
        return Outputs(
            stored["fitted"], stored["outputs"], stored["sizes"], str(stored["engine"][()])
        )


def compare(contract: Contract, arm: Outputs, x86: Outputs) -> Row:
    """Both machines' outputs of the same images."""
    theirs, ours = arm.outputs.astype(np.float64), x86.outputs.astype(np.float64)
    both = np.linalg.norm(theirs) * np.linalg.norm(ours)
    return Row(
        variant=contract.variant,
        format=contract.format,
        precision=contract.precision,
        same_pixels=float((arm.fitted == x86.fitted).mean()),
        cosine=float((theirs * ours).sum() / both),
        largest=float(np.abs(theirs - ours).max()),
        spread=float(ours.max() - ours.min()),
        top1=(
            float((theirs.argmax(axis=1) == ours.argmax(axis=1)).mean())
            if contract.task == "classify"
            else None
        ),
        boxes=_boxes(contract, arm, x86) if contract.task == "detect" else None,
        images=len(ours),
    )


def cells(row: Row) -> tuple[str, ...]:
    """A row of the table."""
    return (
        *(row.variant, row.format, row.precision.upper(), f"{100 * row.same_pixels:.2f} %"),
        *(f"{row.cosine:.6f}", f"{row.largest:.2g}", f"{row.spread:.3g}"),
        *("" if share is None else f"{100 * share:.1f} %" for share in (row.top1, row.boxes)),
        "; ".join(row.faults) or "yes",
    )


def objects(contract: Contract, side: Outputs) -> list[Detections]:
    """What one machine's outputs mean, per image."""
    return [
        detect.objects(output, contract, int(height), int(width))
        for output, (height, width) in zip(side.outputs, side.sizes, strict=True)
    ]


def _boxes(contract: Contract, arm: Outputs, x86: Outputs) -> float:
    threshold = contract.boxes.score_threshold if contract.boxes else 0.0
    return agreement(objects(contract, arm), objects(contract, x86), threshold)
