"""What a way of quantizing gives: a float network, its simulation, and how both were found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn
from torch.fx import GraphModule

from edgesmith.compress.quantize.rungs import Ladder


@dataclass(frozen=True)
class Quantized:
    """`net`: float weights without batch normalisation; `graph`: the same with ranges, simulated.

    `histories` of training are empty where nothing was trained; `ladder` says what was tried.
    """

    net: nn.Module
    graph: GraphModule
    method: Literal["ptq", "qat"]
    observer: str
    histories: list[dict[str, Any]] = field(default_factory=list)
    float_layers: list[str] = field(default_factory=list)
    ladder: Ladder | None = None


def take_weights(net: nn.Module, graph: GraphModule) -> None:
    """Copy what the graph has learned back into the network that it was traced from."""
    learned = graph.state_dict()
    net.load_state_dict({name: learned[name] for name in net.state_dict()})
