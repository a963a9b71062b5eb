"""`params.yaml: variants`: one model after one compression step."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edgesmith.params.section import Count, OpenShare, Section, Share, Task


class _Variant(Section):
    """What every variant says: its place in the chain, its data and its schedule."""

    task: Task
    parent: str
    teacher: str
    baseline: str
    dataset: str
    schedule: str


class TrainVariant(_Variant):
    """Train the parent's weights further; with a schedule of 0 epochs take them as they are."""

    step: Literal["train"]


class DistillVariant(_Variant):
    """Train with the teacher's soft targets (Hinton et al., 2015, arXiv:1503.02531).

    loss = alpha * cross entropy + (1 - alpha) * temperature^2 * KL(teacher || student).
    """

    step: Literal["distill"]
    temperature: float = Field(default=4.0, gt=0)
    alpha: Share = 0.7


class PruneVariant(_Variant):
    """Remove channels in `rounds` steps, fine-tuning after each."""

    step: Literal["prune"]
    sparsity: Literal["structured", "unstructured", "2:4"] = "structured"
    ratio: OpenShare
    rounds: int = Field(default=1, gt=0)
    importance: Literal["l1", "l2", "taylor"] = "l2"
    scope: Literal["global", "per-layer"] = "per-layer"
    round_to: int = Field(default=8, gt=0)
    max_ratio: OpenShare = 0.7
    temperature: float = Field(default=4.0, gt=0)
    alpha: Share = 1.0


class QuantizeVariant(_Variant):
    """Integer weights and activations: calibrated (ptq), learned (qat), or as needed (ladder).

    `max_drop` and `max_float_layers` are the ladder's: the share of the task metric that it may
    cost, and how many layers may stay float for that. `keep_float` names layers that every method
    leaves in float, by glob patterns of their module paths.
    """

    step: Literal["quantize"]
    method: Literal["ptq", "qat", "ladder"]
    scheme: Literal["affine", "symmetric"] = "affine"
    observer: Literal["minmax", "percentile", "mse", "entropy"] = "mse"
    percentile: float = Field(default=99.99, gt=50, le=100)
    freeze_batch_norm: Share = 0.3
    freeze_observers: Share = 0.6
    temperature: float = Field(default=1.0, gt=0)
    alpha: Share = 1.0
    max_drop: Share = 0.005
    max_float_layers: Count = 3
    keep_float: list[str] = Field(default_factory=list)


class CastVariant(_Variant):
    """Weights and arithmetic in half precision; nothing is trained."""

    step: Literal["cast"]
    precision: Literal["fp16"] = "fp16"


class ResizeVariant(_Variant):
    """The parent with a square input of `size` pixels: same weights, precision and ranges.

    Detectors alone; their coarsest map has a cell for every 32 pixels.
    """

    step: Literal["resize"]
    size: int = Field(gt=0, multiple_of=32)


Variant = Annotated[
    TrainVariant | DistillVariant | PruneVariant | QuantizeVariant | CastVariant | ResizeVariant,
    Field(discriminator="step"),
]
