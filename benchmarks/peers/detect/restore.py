"""A stored detector as Ultralytics' own model: the inverse of `edgesmith.tasks.detect.blocks`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from ultralytics.nn.modules.block import C2PSA, Attention, C2f
from ultralytics.nn.modules.conv import Conv
from ultralytics.nn.tasks import DetectionModel

from edgesmith.errors import ModelError
from edgesmith.tasks import store
from edgesmith.tasks.detect.blocks import SplitAttention, SplitC2f, SplitC2PSA
from edgesmith.tasks.detect.networks import Detector

_NORM = ("weight", "bias", "running_mean", "running_var")


def as_ultralytics(folder: Path) -> DetectionModel:
    """The float network in `folder` (models/<variant>), both heads, as Ultralytics' model in eval.

    Class names are the card's labels. Raises ModelError for a network that has no such form: one
    that was quantized, cast or pruned.
    """
    net, card = store.load(folder)
    if not isinstance(net, Detector):
        raise ModelError(f"{folder / store.CARD}: task is {card.task}; name a detector")
    if card.precision != "fp32" or card.batch_norm_folded:
        raise ModelError(
            f"{folder / store.CARD}: {card.precision}, with batch normalisation in the "
            "convolutions; Ultralytics trains and exports the float network: name its parent"
        )
    model = DetectionModel(
        f"{card.network.architecture}.yaml", nc=len(card.labels), verbose=False
    ).eval()
    restored: nn.Sequential = model.model
    try:
        for own, layer in zip(restored, net.layers, strict=False):
            _restore(own, layer)
        _restore_heads(restored[-1], net)
    except RuntimeError as error:  # torch, of shapes that differ
        raise ModelError(
            f"{folder}: its layers have not the widths of {card.network.architecture}, which are "
            "all that Ultralytics builds; name the parent that was pruned"
        ) from error
    model.names = dict(enumerate(card.labels))
    model.task = "detect"
    return model


def _restore_heads(detect: nn.Module, net: Detector) -> None:
    """The four branches, whichever head is the deployed one."""
    single, many = ("one2one_cv2", "one2one_cv3"), ("cv2", "cv3")
    names = (*single, *many) if net.head == "one-to-one" else (*many, *single)
    for name, branch in zip(names, net.heads(), strict=True):
        detect.get_submodule(name).load_state_dict(branch.state_dict())


def _restore(own: nn.Module, layer: nn.Module) -> None:
    """Give `own` the weights of `layer`, which may be its split form or hold such forms."""
    if isinstance(own, C2f | C2PSA):
        assert isinstance(layer, SplitC2f | SplitC2PSA)  # noqa: S101 - `split_branches` replaces all
        half = own.cv1.conv.out_channels // 2
        _join(own.cv1, layer.left, range(half))
        _join(own.cv1, layer.right, range(half, 2 * half))
        _restore(own.cv2, layer.cv2)
        _restore(own.m, layer.m)
    elif isinstance(own, Attention):
        assert isinstance(layer, SplitAttention)  # noqa: S101 - as above
        _restore_attention(own, layer)
    elif next(own.children(), None) is None:
        own.load_state_dict(layer.state_dict())
    else:
        for name, child in own.named_children():
            _restore(child, layer.get_submodule(name))


def _restore_attention(own: Attention, layer: SplitAttention) -> None:
    """Query, key and value of each head side by side again; the scale leaves the query."""
    key, head = own.key_dim, own.head_dim
    starts = [number * (2 * key + head) for number in range(own.num_heads)]
    _join(own.qkv, layer.query, [s + i for s in starts for i in range(key)], 1 / own.scale)
    _join(own.qkv, layer.key, [s + key + i for s in starts for i in range(key)])
    _join(own.qkv, layer.value, [s + 2 * key + i for s in starts for i in range(head)])
    _restore(own.pe, layer.pe)
    _restore(own.proj, layer.proj)


@torch.no_grad()
def _join(whole: Conv, part: Conv, rows: Sequence[int], factor: float = 1.0) -> None:
    """Write `part` as the output channels `rows` of `whole`, its affine part times `factor`."""
    chosen = torch.tensor(list(rows))
    if part.conv.weight.shape != whole.conv.weight[chosen].shape:
        raise RuntimeError("of another width")
    whole.conv.weight[chosen] = part.conv.weight
    for name in _NORM:
        scale = factor if name in {"weight", "bias"} else 1.0
        getattr(whole.bn, name)[chosen] = getattr(part.bn, name) * scale
