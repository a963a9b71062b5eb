from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from edgesmith.tasks.count import count
from tests import tiny


class TwoHeads(nn.Module):
    """A stem, a head that is deployed, and one that is there for training alone."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.head = nn.Conv2d(8, 5, 1)
        self.other = nn.Conv2d(8, 7, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x = self.stem(x)
        return (self.head(x), self.other(x)) if self.training else (self.head(x),)


class Deployed(TwoHeads):
    """The same, and it says what it needs on a device."""

    def deployed_parameters(self) -> Iterator[nn.Parameter]:
        yield from self.stem.parameters()
        yield from self.head.parameters()


def test_what_is_for_training_alone_does_not_count() -> None:
    stem, head, other = 3 * 8 * 9, 8 * 5 + 5, 8 * 7 + 7
    macs = 16 * 16 * (3 * 8 * 9 + 8 * 5)

    assert count(TwoHeads(), 16, 16) == (stem + head + other, macs)
    assert count(Deployed().train(), 16, 16) == (stem + head, macs)


def test_a_network_in_half_precision_counts_the_same() -> None:
    assert count(Deployed().half(), 16, 16) == count(Deployed(), 16, 16)


def test_counting_leaves_the_mode_of_the_network_alone() -> None:
    net = tiny.network("mobilenet_v2")[0].train()
    count(net, 32, 32)

    assert net.training
    assert all(module.training for module in net.modules())
