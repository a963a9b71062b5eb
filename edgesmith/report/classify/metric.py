"""The metric of classifiers, while they train, at the gate and of an artifact (numpy only)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def top1(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    """Share of images whose largest of (N, classes) logits is that of their label (N,)."""
    return float((logits.argmax(1) == labels).mean())
