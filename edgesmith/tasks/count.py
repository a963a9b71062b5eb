"""How large a network is."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count(net: nn.Module, height: int, width: int) -> tuple[int, int]:
    """(parameters, multiply-accumulates of one image) of the network as it is deployed.

    A network with parts for training alone says which parameters it needs (`deployed_parameters`).
    """
    was_training = net.training
    net.eval()
    device = next(net.parameters()).device
    dtype = next(net.parameters()).dtype
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(torch.zeros(1, 3, height, width, device=device, dtype=dtype))
    net.train(was_training)
    needed: Callable[[], Iterable[nn.Parameter]]
    needed = getattr(net, "deployed_parameters", net.parameters)
    return sum(p.numel() for p in needed()), counter.get_total_flops() // 2
