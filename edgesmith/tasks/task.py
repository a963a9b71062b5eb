"""What the chain asks of a task; `edgesmith/tasks/<task>/task.py` answers.

Train, distill, prune, quantize and export are the same for every task. What differs is here: how a
network is built, what its images are annotated with, what it is trained for, what must not be
pruned.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from torch import nn

from edgesmith.boxes import Boxes
from edgesmith.params import Model, Schedule
from edgesmith.params import Task as Name
from edgesmith.preprocess import Float32Array, Preprocess
from edgesmith.tasks.learning import Data, Images, Teacher
from edgesmith.tasks.loop import Objective


class Task(Protocol):
    """What a task's module offers."""

    def build(self, model: Model, classes: int) -> nn.Module:
        """The network with freshly drawn weights (torch's RNG)."""
        ...

    def start(self, model: Model, name: str, classes: int) -> nn.Module:
        """`build`, then the start weights that `models.<name>.weights` asks for."""
        ...

    def deploy(self, net: nn.Module) -> None:
        """Take away, in place, what is for training alone."""
        ...

    def fixed_channels(self, net: nn.Module) -> dict[nn.Module, str]:
        """Layers whose output channels must stay, each with the reason."""
        ...

    def load_split(
        self, folder: Path, split: str, spec: Preprocess, first: int | None = None
    ) -> Images:
        """A split of the stored dataset in `folder`, fitted."""
        ...

    def objective(
        self,
        data: Data[Any],
        schedule: Schedule,
        seed: int,
        boxes: Boxes | None,
        teacher: Teacher | None,
    ) -> Objective:
        """What a network is trained for; `boxes` says how a detector's outputs are read."""
        ...

    def metric(self, outputs: Float32Array, split: Any, boxes: Boxes | None) -> float:
        """The task's metric in [0, 1] of what `predict` or a session gave for the split.

        `boxes` says how a detector's outputs are read; classifiers have None.
        """
        ...

    def agreement(
        self, outputs: Float32Array, reference: Float32Array, split: Any, boxes: Boxes | None
    ) -> float:
        """Share of decisions in [0, 1] that two outputs for the split have in common."""
        ...


def boxes_of(network: Model) -> Boxes | None:
    """How the outputs of a detector are read; None for a classifier."""
    return Boxes(head=network.head) if network.task == "detect" else None


def task_of(name: Name) -> Task:
    """The task's module; imported on first use, as detection brings Ultralytics."""
    return cast(Task, import_module(f"edgesmith.tasks.{name}.task"))
