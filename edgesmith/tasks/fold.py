"""Folding of batch normalisation into the convolution before it (Jacob et al., 2018, §3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from edgesmith.errors import ModelError


class FoldedNorm(nn.Module):
    """What is left of a normalisation layer after folding: its activation, if it had one."""

    def __init__(self, act: nn.Module) -> None:
        super().__init__()
        self.act = act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the activation alone."""
        result: torch.Tensor = self.act(x)
        return result


Pairs = list[tuple[nn.Conv2d, nn.BatchNorm2d]]


def fold_batch_norm(net: nn.Module, pairs: Pairs) -> None:
    """Fold each BatchNorm2d into its convolution, in place; outputs in eval mode stay the same."""
    net.eval()
    names = {module: name for name, module in net.named_modules()}
    for conv, norm in pairs:
        if norm.running_mean is None or norm.running_var is None:
            raise ModelError(f"layer {names[norm]}: batch normalisation without running statistics")
        weight, bias = fuse_conv_bn_weights(
            conv.weight,
            conv.bias,
            norm.running_mean,
            norm.running_var,
            norm.eps,
            norm.weight,
            norm.bias,
        )
        conv.weight, conv.bias = nn.Parameter(weight.detach()), nn.Parameter(bias.detach())
        # timm's BatchNormAct2d holds its activation; torchvision's has a layer of its own.
        act = getattr(norm, "act", None)
        _replace(net, names[norm], nn.Identity() if act is None else FoldedNorm(act))


def conv_norm_pairs(net: nn.Module, height: int, width: int) -> Pairs:
    """Which convolution feeds which normalisation, as seen in a forward pass, not by names.

    Raises ModelError for a normalisation that does not directly follow a convolution.
    """
    names = {module: name for name, module in net.named_modules()}
    made_by: dict[int, nn.Conv2d] = {}
    alive: list[Any] = []  # an id is only unique while its tensor lives
    pairs: Pairs = []

    def after_conv(module: nn.Module, _: Any, output: torch.Tensor) -> None:
        assert isinstance(module, nn.Conv2d)  # noqa: S101 - registered on these alone
        made_by[id(output)] = module
        alive.append(output)

    def before_norm(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        assert isinstance(module, nn.BatchNorm2d)  # noqa: S101 - registered on these alone
        if id(inputs[0]) not in made_by:
            raise ModelError(
                f"layer {names[module]}: a batch normalisation that does not directly follow a "
                "convolution cannot be folded, so the network cannot be quantized"
            )
        pairs.append((made_by[id(inputs[0])], module))

    hooks = [m.register_forward_hook(after_conv) for m in net.modules() if isinstance(m, nn.Conv2d)]
    hooks += [
        m.register_forward_pre_hook(before_norm)
        for m in net.modules()
        if isinstance(m, nn.BatchNorm2d)
    ]
    was_training = net.training
    net.eval()
    try:
        parameter = next(net.parameters())
        with torch.no_grad(), shown_whole(net):
            net(torch.zeros(1, 3, height, width, device=parameter.device, dtype=parameter.dtype))
    finally:
        for hook in hooks:
            hook.remove()
        net.train(was_training)
    return pairs


@contextmanager
def shown_whole(net: nn.Module) -> Iterator[None]:
    """While it lasts, a forward pass in eval mode goes through parts for training alone as well.

    Whoever follows which layer feeds which must see a detector's other head too.
    """
    before = getattr(net, "both", None)
    if before is not None:
        net.both = True  # type: ignore[assignment]
    try:
        yield
    finally:
        if before is not None:
            net.both = before


def _replace(net: nn.Module, name: str, by: nn.Module) -> None:
    path, _, leaf = name.rpartition(".")
    setattr(net.get_submodule(path), leaf, by)
