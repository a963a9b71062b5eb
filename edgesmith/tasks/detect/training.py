"""What detectors are trained for: labelled boxes, and a teacher's maps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgesmith.boxes import Boxes
from edgesmith.data.detect import augment
from edgesmith.data.detect.store import Scenes
from edgesmith.errors import ModelError
from edgesmith.params import Schedule
from edgesmith.preprocess import Float32Array, normalise
from edgesmith.tasks.detect.losses import LabelLoss, Labels, soft_loss
from edgesmith.tasks.detect.metric import map50_95
from edgesmith.tasks.fold import shown_whole
from edgesmith.tasks.learning import Data, Teacher
from edgesmith.tasks.loop import one_ahead
from edgesmith.tasks.predict import as_input, predict


@dataclass(frozen=True)
class Batch:
    """(N, 3, H, W) float32 inputs, and the boxes in them, which (M,) `image` counts from 0.

    `classes` (M,) int64; `boxes` (M, 4) float32 x1 y1 x2 y2 in pixels.
    """

    images: Float32Array
    image: npt.NDArray[np.int64]
    classes: npt.NDArray[np.int64]
    boxes: Float32Array


@dataclass(frozen=True)
class Detection:
    """Labelled boxes, softened by a teacher if there is one; the `loop.Objective` of the task."""

    data: Data[Scenes]
    schedule: Schedule
    seed: int
    boxes: Boxes
    teacher: Teacher | None = None
    metric = "mAP50-95"

    @property
    def batches(self) -> int:
        """Batches of an epoch; what is left over is seen in another epoch."""
        return max(1, len(self.data.train) // self.schedule.batch)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Shuffled and augmented batches, each prepared while the last one trains."""
        rng = np.random.default_rng([self.seed, number])
        order = rng.permutation(len(self.data.train))
        size = self.schedule.batch
        # Drawn here, in order: what a batch looks like must not depend on threads.
        plan = []
        for place in range(self.batches):
            chosen = order[place * size : (place + 1) * size]
            changes = augment.draw(rng, len(chosen), self.data.augment, len(order))
            plan.append((chosen, changes))
        return one_ahead([partial(self._make, *entry) for entry in plan])

    def loss(self, net: nn.Module, batch: Batch, progress: float) -> torch.Tensor:
        """Sum over the batch; see `losses`."""
        device = next(net.parameters()).device
        images = as_input(batch.images, device)
        maps = [level.float() for level in net(images)]
        alpha = 1.0 if self.teacher is None else self.teacher.alpha
        total: torch.Tensor = maps[0].new_zeros(())
        if alpha > 0:
            total = total + alpha * self._labelled(maps[1].shape[1], device)(
                maps, self._labels(batch, device), progress
            )
        if self.teacher is not None:
            guide = self._guide(images, len(maps))
            total = total + (1 - alpha) * soft_loss(maps, guide, self.teacher.temperature)
        return total

    def measure(self, net: nn.Module) -> float:
        """COCO mAP50-95 on the val split."""
        val = self.data.val
        return map50_95(predict(net, val.images, self.data.spec), val, self.boxes)

    def _make(self, chosen: npt.NDArray[np.int64], changes: augment.BoxChanges) -> Batch:
        train = self.data.train
        changed = augment.apply(train, chosen, changes, self.data.spec.fill)
        counts = [len(classes) for classes in changed.classes]
        return Batch(
            normalise(changed.images, self.data.spec),
            np.repeat(np.arange(len(counts)), counts),
            np.concatenate(changed.classes),
            np.concatenate(changed.boxes),
        )

    def _labels(self, batch: Batch, device: torch.device) -> Labels:
        height, width = batch.images.shape[2:]
        corners = batch.boxes / np.asarray([width, height, width, height], np.float32)
        centred = np.concatenate(
            [(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], axis=1
        )
        return Labels(
            torch.from_numpy(batch.image).to(device, torch.float32),
            torch.from_numpy(batch.classes).to(device, torch.float32),
            torch.from_numpy(centred).to(device, torch.float32),
        )

    def _labelled(self, classes: int, device: torch.device) -> LabelLoss:
        return LabelLoss(classes, self.boxes.head, device)

    @torch.no_grad()
    def _guide(self, images: torch.Tensor, count: int) -> list[torch.Tensor]:
        """The teacher's maps, of as many heads as the student shows."""
        assert self.teacher is not None  # noqa: S101 - only asked with one
        net = self.teacher.net
        with shown_whole(net) if count > 6 else nullcontext():
            maps = [level.float() for level in net(images)]
        if len(maps) < count:
            raise ModelError(
                "a detector that trains both of its heads needs a teacher that has both, and this "
                "one was cast or quantized; name its parent as `teacher` in params.yaml"
            )
        return maps
