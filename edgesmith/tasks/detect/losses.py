"""The losses of YOLO26: Ultralytics' for labels, soft targets for a teacher."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import NamedTuple

import torch
from torch.nn import functional as F
from ultralytics.utils.loss import v8DetectionLoss

from edgesmith.tasks.detect.networks import STRIDES, Head

# Weights of overlap, class and distance, as Ultralytics trains YOLO26 by default.
_GAINS = {"box": 7.5, "cls": 0.5, "dfl": 1.5}
# How many cells may learn from one object: the one-to-many head ten, the other at last one.
_ASSIGNED = {"one-to-many": (10, None), "one-to-one": (7, 1)}
# Share of the one-to-many head's loss, at the start of training and at its end.
_MANY_FIRST, _MANY_LAST = 0.8, 0.1


class Labels(NamedTuple):
    """Boxes of a batch: index of the image, class, and (centre x, y, width, height) as shares."""

    image: torch.Tensor
    classes: torch.Tensor
    boxes: torch.Tensor


class LabelLoss:
    """Task-aligned loss of Ultralytics for each head that a network shows.

    While both heads train, the weight moves from the one-to-many head, which teaches the shared
    layers, to the one-to-one head.
    """

    def __init__(self, classes: int, head: Head, device: torch.device) -> None:
        """Of a network with `classes` classes whose deployed head is `head`."""
        self.head = head
        detect = SimpleNamespace(
            stride=torch.tensor(STRIDES, dtype=torch.float32, device=device), nc=classes, reg_max=1
        )
        # What the loss reads of Ultralytics' own model.
        model = SimpleNamespace(
            parameters=lambda: iter([torch.zeros(1, device=device)]),
            args=SimpleNamespace(**_GAINS),
            model=[detect],
        )
        self._losses = {
            name: v8DetectionLoss(model, tal_topk=first, tal_topk2=last)
            for name, (first, last) in _ASSIGNED.items()
        }

    def __call__(
        self, maps: Sequence[torch.Tensor], labels: Labels, progress: float
    ) -> torch.Tensor:
        """Sum over the batch; `maps` are what `Detector` gives, of one head or of both."""
        batch = {"batch_idx": labels.image, "cls": labels.classes, "bboxes": labels.boxes}
        other: Head = "one-to-many" if self.head == "one-to-one" else "one-to-one"
        heads = [self.head, other][: len(maps) // 6]
        many = _MANY_FIRST + (_MANY_LAST - _MANY_FIRST) * progress
        weights = {"one-to-many": many, "one-to-one": 1 - many} if len(heads) == 2 else {}
        total = maps[0].new_zeros(())
        for number, head in enumerate(heads):
            own = _as_ultralytics(maps[6 * number : 6 * number + 6])
            parts, _ = self._losses[head].loss(own, batch)
            total = total + weights.get(head, 1.0) * parts.sum()
        return total


def soft_loss(
    maps: Sequence[torch.Tensor], teacher: Sequence[torch.Tensor], temperature: float
) -> torch.Tensor:
    """How far a student's maps are from its teacher's, summed over the batch.

    Classes: binary cross entropy with the teacher's probabilities, both softened, times T^2, per
    object that the teacher sees. Boxes: smooth L1 distance in cells, weighted by the probability
    that the teacher gives the cell. So cells without objects teach classes alone (Chen et al.,
    2017, "Learning Efficient Object Detection Models with Knowledge Distillation").
    """
    images = maps[0].shape[0]
    classes, boxes, objects = (maps[0].new_zeros(()) for _ in range(3))
    for number in range(0, len(maps), 2):
        wanted = teacher[number + 1]
        weight = wanted.sigmoid().amax(1, keepdim=True)
        objects = objects + weight.sum()
        soft = F.binary_cross_entropy_with_logits(
            maps[number + 1] / temperature, (wanted / temperature).sigmoid(), reduction="none"
        )
        # Less the teacher's own entropy, so that an equal student loses nothing.
        own = F.binary_cross_entropy_with_logits(
            wanted / temperature, (wanted / temperature).sigmoid(), reduction="none"
        )
        classes = classes + (soft - own).sum()
        apart = F.smooth_l1_loss(maps[number], teacher[number], reduction="none")
        boxes = boxes + (weight * apart).sum()
    seen = objects.clamp(min=1.0)
    return images * (_GAINS["cls"] * temperature**2 * classes + _GAINS["dfl"] * boxes) / seen


def _as_ultralytics(maps: Sequence[torch.Tensor]) -> dict[str, torch.Tensor | list[torch.Tensor]]:
    """The maps of one head as Ultralytics' loss takes them."""
    return {
        "boxes": torch.cat([level.flatten(2) for level in maps[::2]], 2),
        "scores": torch.cat([level.flatten(2) for level in maps[1::2]], 2),
        "feats": list(maps[::2]),
    }
