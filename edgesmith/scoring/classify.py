"""Which images are named rightly, and alike."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]


def top1(logits: Float32Array, labels: npt.NDArray[np.int64]) -> float:
    """Share of images whose largest of (N, classes) logits is their label's."""
    return float(np.mean(logits.argmax(axis=1) == labels))


def agreement(logits: Float32Array, reference: Float32Array) -> float:
    """Share of images for which both name the same class."""
    return float(np.mean(logits.argmax(axis=1) == reference.argmax(axis=1)))
