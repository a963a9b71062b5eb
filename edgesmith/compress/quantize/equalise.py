"""Cross-layer equalisation (Nagel et al., 2019, "Data-Free Quantization", arXiv:1906.04721, §4.1).

A channel between two convolutions may be divided by any factor in the first and multiplied by it in
the second: a ReLU in between lets factors through, and padding, being zero, too. The factors are
chosen so that both convolutions use equally large weights for the channel (eq. 11); then no channel
is lost in a range that others need.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.fx import GraphModule, Node

from edgesmith.compress.quantize.fake import PerChannelWeight, TensorRange
from edgesmith.compress.quantize.graph import set_simulation, tensor_ranges
from edgesmith.compress.quantize.mixed import simulating
from edgesmith.preprocess import Preprocess, UInt8Array
from edgesmith.tasks.predict import predict

aten = torch.ops.aten

_RELU = {aten.relu.default, aten.relu_.default}
_CLIPPED = {
    aten.hardtanh.default,
    aten.hardtanh_.default,
    aten.clamp.default,
    aten.clamp_.default,
}
# What changes no channel's proportions to itself, and keeps channels apart.
_EQUIVARIANT = {aten.pad.default, aten.max_pool2d.default, aten.avg_pool2d.default}
# Factors of chained pairs settle within a few sweeps; the paper iterates until they do.
_SWEEPS = 20
_SETTLED = 1e-3


@dataclass(frozen=True)
class Pair:
    """Two convolutions of which only the second reads the first; `cap`: of the ReLU6 between."""

    key: str
    first: torch.nn.Parameter
    bias: torch.nn.Parameter | None
    second: torch.nn.Parameter
    groups: int
    cap: float | None


def equalise(graph: GraphModule, images: UInt8Array, spec: Preprocess) -> int:
    """Equalise every pair of convolutions in place; how many pairs there were.

    `images` (N, H, W, 3) uint8 say how large each channel gets: behind a ReLU6 a channel that
    reaches the cap keeps its size, and another one is made no larger than the cap, so that the
    float network gives the same logits for `images`. Ranges must be found anew.
    """
    pairs = find_pairs(graph)
    largest = _channel_maxima(graph, images, spec, {p.key for p in pairs if p.cap is not None})
    for _ in range(_SWEEPS):
        moved = 0.0
        for pair in pairs:
            factors = _factors(pair, largest.get(pair.key))
            _divide(pair, factors)
            if pair.key in largest:
                largest[pair.key] = largest[pair.key] / factors
            moved = max(moved, float(factors.log().abs().max()))
        if moved < _SETTLED:
            break
    return len(pairs)


def find_pairs(graph: GraphModule) -> list[Pair]:
    """Pairs of convolutions with nothing but a ReLU, ReLU6, padding or pooling between."""
    pairs = []
    for node in graph.graph.nodes:
        weight = _weight_of(graph, node)
        if weight is None:
            continue
        cap, following = None, _only_user(node)
        while following is not None and _weight_of(graph, following) is None:
            if following.target in _CLIPPED and list(following.args[1:2]) in ([0], [0.0]):
                cap = float(following.args[2])  # type: ignore[arg-type]
            elif following.target not in _RELU | _EQUIVARIANT and not isinstance(
                simulating(graph, following), TensorRange
            ):
                following = None
                break
            following = _only_user(following)
        # A module that is called twice would be divided for both calls.
        if following is None or "#" in weight.key + _key(graph, following):
            continue
        first, bias, second = (
            _parameter(graph, node, 1),
            _parameter(graph, node, 2),
            _parameter(graph, following, 1),
        )
        assert first is not None and second is not None  # noqa: S101 - weighted both
        groups = first.shape[0] // second.shape[1]
        if _node_of(following, 0) is not None and groups * second.shape[1] == first.shape[0]:
            pairs.append(Pair(weight.key, first, bias, second, groups, cap))
    return pairs


def _factors(pair: Pair, largest: torch.Tensor | None) -> torch.Tensor:
    """s_i = sqrt(r1_i r2_i) / r2_i of eq. 11, (channels,); 1 where a channel is dead or capped."""
    own = pair.first.detach().abs().flatten(1).amax(1)
    grouped = pair.second.detach().abs().reshape(pair.groups, -1, *pair.second.shape[1:])
    read = grouped.flatten(3).amax((1, 3)).flatten()
    alive = (own > 0) & (read > 0)
    factors = torch.where(alive, (own / read.clamp(min=1e-30)).sqrt(), torch.ones_like(own))
    if pair.cap is not None and largest is not None:
        # x / s must stay below the cap wherever x does, and x at the cap would move with s.
        factors = torch.maximum(factors, largest / pair.cap)
        factors = torch.where(largest < pair.cap, factors, torch.ones_like(factors))
    return factors


def _divide(pair: Pair, factors: torch.Tensor) -> None:
    with torch.no_grad():
        pair.first.div_(factors.reshape(-1, 1, 1, 1))
        if pair.bias is not None:
            pair.bias.div_(factors)
        # (groups, outputs of one, inputs of one, height, width)
        grouped = pair.second.reshape(pair.groups, -1, *pair.second.shape[1:])
        scaled = grouped * factors.reshape(pair.groups, 1, -1, 1, 1)
        pair.second.copy_(scaled.reshape(pair.second.shape))


def _channel_maxima(
    graph: GraphModule, images: UInt8Array, spec: Preprocess, keys: set[str]
) -> dict[str, torch.Tensor]:
    """Largest value of every channel of the float network's tensors `keys`, (channels,)."""
    found: dict[str, torch.Tensor] = {}

    def hook(module: torch.nn.Module, _: object, output: torch.Tensor) -> None:
        assert isinstance(module, TensorRange)  # noqa: S101 - registered on these alone
        seen = output.detach().amax((0, 2, 3))
        known = found.get(module.key)
        found[module.key] = seen if known is None else torch.maximum(known, seen)

    tensors = tensor_ranges(graph)
    handles = [tensors[key].register_forward_hook(hook) for key in sorted(keys)]
    set_simulation(graph, False)
    predict(graph, images, spec)
    set_simulation(graph, True)
    for handle in handles:
        handle.remove()
    return found


def _weight_of(graph: GraphModule, node: Node) -> PerChannelWeight | None:
    """The simulated weights of a convolution; None for any other node."""
    if node.target not in {aten.conv2d.default, aten.conv2d.padding}:
        return None
    module = simulating(graph, node.args[1])
    return module if isinstance(module, PerChannelWeight) else None


def _key(graph: GraphModule, node: Node) -> str:
    weight = _weight_of(graph, node)
    return "" if weight is None else weight.key


def _only_user(node: Node) -> Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _parameter(graph: GraphModule, node: Node, position: int) -> torch.nn.Parameter | None:
    """What a convolution takes as weight (1) or bias (2); None where it has none."""
    argument = _node_of(node, position)
    if argument is not None and simulating(graph, argument) is not None:
        argument = _node_of(argument, 0)
    return None if argument is None else graph.get_parameter(str(argument.target))


def _node_of(node: Node, position: int) -> Node | None:
    argument = node.args[position] if len(node.args) > position else None
    return argument if isinstance(argument, Node) else None
