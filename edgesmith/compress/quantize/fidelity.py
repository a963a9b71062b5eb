"""How near a simulated graph's logits are to those of the float network (numpy only)."""

from __future__ import annotations

import math

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from edgesmith.preprocess import Float32Array

# Identical logits, with no noise at all, are given this value.
_MAX_SQNR_DB = 200.0


# The logit of a score of 0.25, from which on most users call something an object.
_CONFIDENT = math.log(0.25 / 0.75)


class Fidelity(BaseModel):
    """Signal-to-noise ratio of the outputs, and the share of decisions that are the same.

    Of a classifier top-1 of each image; of a detector the class of each cell in which either of the
    two sees an object (1 when neither sees any).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sqnr_db: float
    agreement: float = Field(ge=0, le=1)


def fidelity(outputs: Float32Array, reference: Float32Array) -> Fidelity:
    """Of outputs against the float network's on the same images, both as `predict` gives them."""
    signal = float(np.sum(np.square(reference, dtype=np.float64)))
    noise = float(np.sum(np.square(np.subtract(outputs, reference, dtype=np.float64))))
    sqnr = 10 * math.log10(max(signal, 1e-300) / noise) if noise else _MAX_SQNR_DB
    same = _same_cells if reference.ndim == 3 else _same_images
    agreement = round(same(outputs, reference), 6)
    return Fidelity(sqnr_db=round(min(sqnr, _MAX_SQNR_DB), 3), agreement=agreement)


def _same_images(logits: Float32Array, reference: Float32Array) -> float:
    return float(np.mean(logits.argmax(axis=1) == reference.argmax(axis=1)))


def _same_cells(predictions: Float32Array, reference: Float32Array) -> float:
    scores, wanted = predictions[..., 4:], reference[..., 4:]
    sees, should = scores.max(axis=-1) >= _CONFIDENT, wanted.max(axis=-1) >= _CONFIDENT
    either = sees | should
    same = sees & should & (scores.argmax(axis=-1) == wanted.argmax(axis=-1))
    return float(same.sum() / either.sum()) if either.any() else 1.0
