"""Object detection as the chain asks for it; see `edgesmith.tasks.task.Task`."""

from __future__ import annotations

from torch import nn

from edgesmith.boxes import Boxes
from edgesmith.data.detect.store import Scenes
from edgesmith.data.detect.store import load_scenes as load_split
from edgesmith.errors import ModelError
from edgesmith.params import Model, Schedule
from edgesmith.preprocess import Float32Array
from edgesmith.tasks.detect import networks, weights
from edgesmith.tasks.detect.blocks import SplitAttention
from edgesmith.tasks.detect.metric import agreement, map50_95
from edgesmith.tasks.detect.networks import Detector
from edgesmith.tasks.detect.training import Detection
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


def build(model: Model, classes: int) -> Detector:
    """The network of `model` with both heads and freshly drawn weights (torch's RNG)."""
    return networks.build(model.architecture, classes, model.head)


def start(model: Model, name: str, classes: int) -> Detector:
    """`build`, then the start weights that `models.<name>.weights` asks for.

    `none` leaves the random ones; anything else is the path of a .pt file of Ultralytics or of a
    .safetensors file. Raises ModelError when they do not fit.
    """
    if model.weights == "none":
        return build(model, classes)
    return weights.start(model, name, classes)


def deploy(net: nn.Module) -> None:
    """Leave the deployed head alone, in place."""
    _detector(net).drop_other_head()


def fixed_channels(net: nn.Module) -> dict[nn.Module, str]:
    """Layers whose outputs have a meaning outside of them."""
    fixed: dict[nn.Module, str] = {}
    for heads in _detector(net).heads():
        for level in heads:
            assert isinstance(level, nn.Sequential)  # noqa: S101 - as Ultralytics builds heads
            fixed[level[-1]] = "its outputs are the head's maps"
    for block in net.modules():
        if isinstance(block, SplitAttention):
            for layer in block.modules():
                if isinstance(layer, nn.Conv2d):
                    fixed[layer] = "attention divides its channels among heads"
    return fixed


def objective(
    data: Data[Scenes], schedule: Schedule, seed: int, boxes: Boxes, teacher: Teacher | None
) -> Detection:
    """Labelled boxes, and a teacher's maps; the teacher takes what the student takes.

    Raises ModelError for a teacher with another input or deployed head.
    """
    if teacher is not None and teacher.spec != data.spec:
        raise ModelError(
            "a detector's teacher sees the same augmented image as its student, so both need the "
            "same input; give the two models the same `input` in params.yaml"
        )
    if teacher is not None and _detector(teacher.net).head != boxes.head:
        raise ModelError(
            "a detector learns its head from the same head of its teacher, and this one deploys "
            "the other; give the two models the same `head` in params.yaml"
        )
    return Detection(data, schedule, seed, boxes, teacher)


def metric(outputs: Float32Array, split: Scenes, boxes: Boxes) -> float:
    """COCO mAP50-95 of packed predictions."""
    return map50_95(outputs, split, boxes)


def _detector(net: nn.Module) -> Detector:
    assert isinstance(net, Detector)  # noqa: S101 - `build` gives nothing else
    return net
