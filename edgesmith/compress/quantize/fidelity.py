"""How near a simulated graph's logits are to those of the float network (numpy only)."""

from __future__ import annotations

import math

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from edgesmith.preprocess import Float32Array

# Identical logits, with no noise at all, are given this value.
_MAX_SQNR_DB = 200.0


class Fidelity(BaseModel):
    """Signal-to-noise ratio of the logits, and the share of images with the same top-1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sqnr_db: float
    agreement: float = Field(ge=0, le=1)


def fidelity(logits: Float32Array, reference: Float32Array) -> Fidelity:
    """Of logits (N, classes) against the float network's on the same images."""
    signal = float(np.sum(np.square(reference, dtype=np.float64)))
    noise = float(np.sum(np.square(np.subtract(logits, reference, dtype=np.float64))))
    sqnr = 10 * math.log10(max(signal, 1e-300) / noise) if noise else _MAX_SQNR_DB
    same = float(np.mean(logits.argmax(axis=1) == reference.argmax(axis=1)))
    return Fidelity(sqnr_db=round(min(sqnr, _MAX_SQNR_DB), 3), agreement=round(same, 6))
