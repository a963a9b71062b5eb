"""`quantization.json`: the one set of ranges of a variant, and how calibration finds them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from edgesmith import files
from edgesmith.errors import ModelError

FILE = "quantization.json"
BINS = 2048
# No scale is smaller: integer kernels multiply by 1/scale in single precision.
EPSILON = 1e-8

Scheme = Literal["affine", "symmetric"]
Float64Array = npt.NDArray[np.float64]


class Range(BaseModel):
    """Real values that one 8-bit tensor covers; always holds 0, so that zero padding is exact."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float = Field(le=0)
    high: float = Field(ge=0)

    def affine(self) -> tuple[float, int]:
        """(scale, zero point) of int8 in [-128, 127]."""
        scale = max((self.high - self.low) / 255, EPSILON)
        return scale, int(np.clip(-128 - round(self.low / scale), -128, 127))

    def symmetric(self) -> float:
        """Scale of int8 in [-127, 127] with zero point 0."""
        return max(-self.low, self.high, 127 * EPSILON) / 127


# Of every sigmoid: TFLite's integer kernel takes no other (scale 1/256, zero point -128).
SIGMOID = Range(low=0.0, high=255 / 256)


class Quantization(BaseModel):
    """All ranges of a variant: activations by key, weight scales per output channel by layer."""

    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    method: Literal["ptq", "qat"]
    scheme: Scheme
    observer: str
    images: int
    activations: dict[str, Range]
    weights: dict[str, list[float]]
    # Layers that every format leaves in float: neither their weights have scales, nor a tensor
    # that only they read a range.
    float_layers: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _scales_are_positive(self) -> Quantization:
        for layer, scales in self.weights.items():
            if not scales or min(scales) <= 0:
                raise ValueError(f"weights.{layer}: every scale must be above 0")
        both = sorted(self.weights.keys() & set(self.float_layers))
        if both:
            raise ValueError(f"float_layers: {both[0]} has scales of integer weights too")
        return self


def read(folder: Path) -> Quantization:
    """Parse `quantization.json` of a variant; ModelError when it is missing or damaged."""
    return files.read_record(
        folder / FILE,
        Quantization,
        ModelError,
        missing="only variants of the step `quantize` have ranges",
        damaged="rebuild it: `dvc repro`",
    )


def choose(
    histogram: Float64Array, low: float, high: float, observer: str, percentile: float
) -> Range:
    """The range that `observer` picks from counts in equal bins of [low, high].

    `minmax` keeps all; `percentile` cuts what lies beyond it on either side; `mse` minimises the
    mean squared error of clipping and rounding to 256 levels; `entropy` minimises the KL
    divergence of the quantized distribution (Migacz, 2017, "8-bit Inference with TensorRT").
    """
    if observer == "minmax" or histogram.sum() == 0:
        return Range(low=min(low, 0.0), high=max(high, 0.0))
    edges = np.linspace(low, high, len(histogram) + 1)
    if observer == "percentile":
        share = np.cumsum(histogram) / histogram.sum()
        cut = 1 - percentile / 100
        first = int(np.searchsorted(share, cut, side="right"))
        last = int(np.searchsorted(share, 1 - cut, side="left"))
        return _range(edges[first], edges[min(last + 1, len(histogram))])
    loss = _squared_error if observer == "mse" else _divergence
    return _search(histogram, edges, loss)


def _range(low: float, high: float) -> Range:
    return Range(low=min(float(low), 0.0), high=max(float(high), 0.0))


Loss = Callable[[Float64Array, Float64Array, float, float], float]


def _search(histogram: Float64Array, edges: Float64Array, loss: Loss) -> Range:
    """Shrink both ends together in 1 % steps, then each alone; keep the smallest loss."""
    centres = (edges[:-1] + edges[1:]) / 2
    low, high = min(float(edges[0]), 0.0), max(float(edges[-1]), 0.0)
    shares = np.arange(1.0, 0.295, -0.01)
    best = min((loss(histogram, centres, low * s, high * s), -s, low * s, high * s) for s in shares)
    _, _, low_best, high_best = best
    low_best = min((loss(histogram, centres, low * s, high_best), -s, low * s) for s in shares)[2]
    high_best = min((loss(histogram, centres, low_best, high * s), -s, high * s) for s in shares)[2]
    return _range(low_best, high_best)


def _squared_error(
    histogram: Float64Array, centres: Float64Array, low: float, high: float
) -> float:
    """Mean squared error of rounding the bins' centres to 256 levels of [low, high]."""
    scale = max((high - low) / 255, EPSILON)
    clipped = np.clip(centres, low, high)
    rounded = low + np.round((clipped - low) / scale) * scale
    # A bin wider than a step hides the rounding error inside it: never count less than uniform.
    inside = np.where((centres >= low) & (centres <= high), scale**2 / 12, 0.0)
    error = np.maximum((centres - rounded) ** 2, inside)
    return float((histogram * error).sum() / histogram.sum())


def _divergence(histogram: Float64Array, centres: Float64Array, low: float, high: float) -> float:
    """KL divergence of the counts, clipped to [low, high], from their 256-level version."""
    inside = (centres >= low) & (centres <= high)
    reference = histogram[inside].copy()
    if reference.size == 0 or reference.sum() == 0:
        return float("inf")
    reference[0] += histogram[centres < low].sum()
    reference[-1] += histogram[centres > high].sum()
    raw = histogram[inside]
    level = np.minimum(np.arange(raw.size) * 256 // raw.size, 255)
    mass = np.bincount(level, weights=raw, minlength=256)
    filled = np.bincount(level, weights=(raw > 0).astype(float), minlength=256)
    spread = np.where(raw > 0, (mass / np.maximum(filled, 1))[level], 0.0)
    p, q = reference / reference.sum(), spread / max(spread.sum(), EPSILON)
    both = (p > 0) & (q > 0)
    lost = p[(p > 0) & (q == 0)].sum()  # mass that q cannot express
    return float((p[both] * np.log(p[both] / q[both])).sum() + lost * 10)
