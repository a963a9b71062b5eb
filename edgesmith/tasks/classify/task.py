"""Image classification as the chain asks for it; see `edgesmith.tasks.task.Task`."""

from __future__ import annotations

from torch import nn

from edgesmith.data.classify.store import Split, load_split
from edgesmith.params import Schedule
from edgesmith.preprocess import Float32Array
from edgesmith.scoring import classify as scoring
from edgesmith.tasks.classify.networks import build, head_of, start
from edgesmith.tasks.classify.training import Classification
from edgesmith.tasks.learning import Data, Teacher

__all__ = [
    "agreement",
    "build",
    "deploy",
    "fixed_channels",
    "load_split",
    "metric",
    "objective",
    "start",
]


def deploy(net: nn.Module) -> None:
    """Nothing to do: a classifier has no part that is for training alone."""


def fixed_channels(net: nn.Module) -> dict[nn.Module, str]:
    """The last layer."""
    return {head_of(net): "its outputs are the classes"}


def objective(
    data: Data[Split], schedule: Schedule, seed: int, boxes: None, teacher: Teacher | None
) -> Classification:
    """Labels, and a teacher's soft targets."""
    return Classification(data, schedule, seed, teacher)


def agreement(outputs: Float32Array, reference: Float32Array, split: Split, boxes: None) -> float:
    """Share of images with the same top-1."""
    return scoring.agreement(outputs, reference)


def metric(outputs: Float32Array, split: Split, boxes: None) -> float:
    """Top-1 accuracy of (N, classes) logits."""
    return scoring.top1(outputs, split.labels)
