"""What classifiers are trained for: cross entropy with labels, and a teacher's soft targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F

from edgesmith.data.classify import augment
from edgesmith.data.classify.store import Split
from edgesmith.params import Augment, Schedule
from edgesmith.preprocess import Float32Array, normalise
from edgesmith.scoring.classify import top1
from edgesmith.tasks.learning import Data, Teacher
from edgesmith.tasks.loop import one_ahead
from edgesmith.tasks.predict import as_input, predict


@dataclass(frozen=True)
class Batch:
    """Indices into the train split, (N, 3, H, W) inputs, and those of the teacher if they differ.

    Arrays are float32.
    """

    chosen: npt.NDArray[np.int64]
    images: Float32Array
    guide: Float32Array | None


@dataclass(frozen=True)
class Classification:
    """Cross entropy, softened by a teacher where there is one; the `loop.Objective` of the task."""

    data: Data[Split]
    schedule: Schedule
    seed: int
    teacher: Teacher | None = None
    metric = "top-1"

    @property
    def batches(self) -> int:
        """Batches of an epoch; what is left over is seen in another epoch."""
        return max(1, len(self.data.train.labels) // self.schedule.batch)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Shuffled and augmented batches, each prepared while the last one trains."""
        rng = np.random.default_rng([self.seed, number])
        order = rng.permutation(len(self.data.train.labels))
        size = self.schedule.batch
        # Drawn here, in order: what a batch looks like must not depend on threads.
        plan = []
        for place in range(self.batches):
            chosen = order[place * size : (place + 1) * size]
            plan.append((chosen, augment.draw(rng, len(chosen), self.data.augment)))
        return one_ahead([partial(self._make, *entry) for entry in plan])

    def loss(self, net: nn.Module, batch: Batch, progress: float) -> torch.Tensor:
        """Mean over the batch; see `mix_with_soft_targets`."""
        device = next(net.parameters()).device
        labels = torch.from_numpy(self.data.train.labels[batch.chosen]).to(device)
        logits = net(as_input(batch.images, device)).float()
        loss = F.cross_entropy(logits, labels, label_smoothing=self.schedule.label_smoothing)
        if self.teacher is None:
            return loss
        target = self._targets(batch, device)
        return mix_with_soft_targets(
            loss, logits, target, self.teacher.temperature, self.teacher.alpha
        )

    def measure(self, net: nn.Module) -> float:
        """Top-1 accuracy on the val split."""
        val = self.data.val
        return top1(predict(net, val.images, self.data.spec), val.labels)

    def _make(self, chosen: npt.NDArray[np.int64], changes: augment.Changes) -> Batch:
        data, teacher = self.data, self.teacher
        images = normalise(augment.apply(data.train.images[chosen], changes), data.spec)
        if teacher is None or not _augments(data.augment):
            return Batch(chosen, images, None)
        same = augment.apply(teacher.images[chosen], changes)
        return Batch(chosen, images, normalise(same, teacher.spec))

    @torch.no_grad()
    def _targets(self, batch: Batch, device: torch.device) -> torch.Tensor:
        """The teacher's logits of the batch."""
        assert self.teacher is not None  # noqa: S101 - only asked with one
        if batch.guide is None:
            return self._fixed_targets[torch.from_numpy(batch.chosen)].to(device)
        logits: torch.Tensor = self.teacher.net(as_input(batch.guide, device))
        return logits.float()

    @cached_property
    def _fixed_targets(self) -> torch.Tensor:
        """The teacher's logits of all train images, once, where no augmentation changes them."""
        teacher = self.teacher
        assert teacher is not None  # noqa: S101 - only asked with one
        # First asked for by a loss, perhaps in half precision; targets of all epochs are not in it.
        with torch.autocast(next(teacher.net.parameters()).device.type, enabled=False):
            return torch.from_numpy(predict(teacher.net, teacher.images, teacher.spec))


def mix_with_soft_targets(
    hard: torch.Tensor,
    logits: torch.Tensor,
    teacher_logits: torch.Tensor,
    temperature: float,
    alpha: float,
) -> torch.Tensor:
    """Return alpha * hard + (1 - alpha) * T^2 * KL(teacher || student), both softened by T.

    `logits` and `teacher_logits` are (N, classes); the KL is the mean over N. T^2 keeps the soft
    gradients' size independent of T (Hinton et al., 2015, §2.1).
    """
    soft = F.kl_div(
        F.log_softmax(logits / temperature, dim=1),
        F.log_softmax(teacher_logits / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
    return alpha * hard + (1 - alpha) * temperature**2 * soft


def _augments(rule: Augment) -> bool:
    return rule != Augment()
