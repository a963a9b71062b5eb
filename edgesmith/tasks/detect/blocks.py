"""YOLO's blocks without channel splits, so that pruning and integer kernels see convolutions alone.

Ultralytics computes two branches (C2f, C2PSA) or query, key and value (attention) by one
convolution and splits its output. Here each branch has a convolution of its own: the same values,
to float rounding, and channels that can be removed and ranges that can be chosen branch by branch.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn
from ultralytics.nn.modules.block import C2PSA, Attention, C2f
from ultralytics.nn.modules.conv import Conv


class SplitC2f(nn.Module):
    """Ultralytics' C2f and C3k2: the second branch goes through `m`, block after block."""

    def __init__(self, block: C2f) -> None:
        """Take over the weights of `block`."""
        super().__init__()
        half = block.cv1.conv.out_channels // 2
        self.left = _part(block.cv1, range(half))
        self.right = _part(block.cv1, range(half, 2 * half))
        self.m = block.m
        self.cv2 = block.cv2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, C', H, W)."""
        parts = [self.left(x), self.right(x)]
        for block in self.m:
            parts.append(block(parts[-1]))
        result: torch.Tensor = self.cv2(torch.cat(parts, 1))
        return result


class SplitC2PSA(nn.Module):
    """Ultralytics' C2PSA: the second branch goes through attention blocks."""

    def __init__(self, block: C2PSA) -> None:
        """Take over the weights of `block`."""
        super().__init__()
        half = block.cv1.conv.out_channels // 2
        self.left = _part(block.cv1, range(half))
        self.right = _part(block.cv1, range(half, 2 * half))
        self.m = block.m
        self.cv2 = block.cv2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, C, H, W)."""
        result: torch.Tensor = self.cv2(torch.cat((self.left(x), self.m(self.right(x))), 1))
        return result


class SplitAttention(nn.Module):
    """Ultralytics' attention over the H·W positions, its scale folded into the query."""

    def __init__(self, block: Attention) -> None:
        """Take over the weights of `block`."""
        super().__init__()
        key, head, heads = block.key_dim, block.head_dim, block.num_heads
        starts = [number * (2 * key + head) for number in range(heads)]
        self.heads = heads
        self.query = _part(block.qkv, [s + i for s in starts for i in range(key)])
        self.key = _part(block.qkv, [s + key + i for s in starts for i in range(key)])
        self.value = _part(block.qkv, [s + 2 * key + i for s in starts for i in range(head)])
        with torch.no_grad():
            self.query.bn.weight.mul_(block.scale)
            self.query.bn.bias.mul_(block.scale)
        self.pe = block.pe
        self.proj = block.proj

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, C, H, W)."""
        images, _, height, width = x.shape
        value = self.value(x)
        query, key, values = (
            part.view(images, self.heads, part.shape[1] // self.heads, height * width)
            for part in (self.query(x), self.key(x), value)
        )
        weights = (query.transpose(-2, -1) @ key).softmax(dim=-1)
        mixed = (values @ weights.transpose(-2, -1)).reshape(images, -1, height, width)
        result: torch.Tensor = self.proj(mixed + self.pe(value))
        return result


def split_branches(net: nn.Module) -> None:
    """Replace every such block inside `net`, in place."""
    for name, child in list(net.named_children()):
        split_branches(child)
        if isinstance(child, C2PSA):
            setattr(net, name, SplitC2PSA(child))
        elif isinstance(child, C2f):
            setattr(net, name, SplitC2f(child))
        elif isinstance(child, Attention):
            setattr(net, name, SplitAttention(child))


def _part(whole: Conv, rows: Sequence[int]) -> Conv:
    """The convolution that gives the output channels `rows` of `whole` (kernel 1, no groups)."""
    old, norm = whole.conv, whole.bn
    # A copy: tracing names what it sees by its module, and wants one module per place.
    part = Conv(old.in_channels, len(rows), 1, 1, act=copy.deepcopy(whole.act))
    part.bn.eps, part.bn.momentum = norm.eps, norm.momentum
    chosen = torch.tensor(list(rows))
    with torch.no_grad():
        part.conv.weight.copy_(old.weight[chosen])
        for name in ("weight", "bias", "running_mean", "running_var"):
            getattr(part.bn, name).copy_(getattr(norm, name)[chosen])
    return part
