"""Logits to labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]


class Prediction(NamedTuple):
    """One class and its probability in [0, 1]."""

    label: str
    probability: float


def softmax(logits: Float32Array) -> Float32Array:
    """Probabilities of (N, classes) float32 logits along the last axis."""
    exponent = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: Float32Array = exponent / exponent.sum(axis=-1, keepdims=True)
    return result


def top_k(logits: Float32Array, labels: list[str], k: int) -> list[list[Prediction]]:
    """The `k` most probable classes of each row of (N, classes) logits, best first."""
    probabilities = softmax(logits)
    order = np.argsort(-probabilities, axis=-1, kind="stable")[:, :k]
    return [
        [Prediction(labels[column], float(row[column])) for column in columns]
        for row, columns in zip(probabilities, order, strict=True)
    ]
