"""What a network learns from: its data, and a teacher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from torch import nn

from edgesmith.params import Augment
from edgesmith.preprocess import Preprocess, UInt8Array


class Images(Protocol):
    """A split in memory; with what its task annotates."""

    @property
    def images(self) -> UInt8Array:
        """(N, H, W, 3) uint8, fitted."""
        ...

    def __len__(self) -> int:
        """N."""
        ...


SplitT = TypeVar("SplitT", bound=Images)


@dataclass(frozen=True)
class Data(Generic[SplitT]):
    """The images that a network learns from, at its own input size."""

    train: SplitT
    val: SplitT
    spec: Preprocess
    augment: Augment


@dataclass(frozen=True)
class Teacher:
    """A frozen network whose soft targets guide the student (Hinton et al., 2015).

    `images` are the student's training images at the teacher's input size, (N, H, W, 3) uint8.
    """

    net: nn.Module
    images: UInt8Array
    spec: Preprocess
    temperature: float
    alpha: float
