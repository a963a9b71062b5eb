"""Bias correction (Nagel et al., 2019, "Data-Free Quantization", arXiv:1906.04721, §4.2).

Rounding shifts the mean of a layer's outputs. The shift of each channel on calibration images is
taken off the bias, layer by layer in the order of the graph, so that a layer is corrected for
inputs that its corrected predecessors give.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import GraphModule, Interpreter, Node

from edgesmith.compress.quantize.fake import PerChannelWeight
from edgesmith.compress.quantize.graph import evenly, set_simulation
from edgesmith.compress.quantize.mixed import simulating
from edgesmith.preprocess import Preprocess, UInt8Array, normalise

# All images of one layer are in memory at once: 128 of 224 x 224 take 1.2 GB in MobileNetV2's
# widest layer, and means of 64 already differ by less than a level.
_IMAGES = 128


def correct_biases(
    graph: GraphModule, images: UInt8Array, spec: Preprocess
) -> dict[str, torch.Tensor]:
    """Add to each bias, in place, what rounding takes from its channel's mean; all that was added.

    `images` are (N, H, W, 3) uint8; ranges are known and stay. A layer without a bias, or a second
    call of a module, is left alone. Shifts are (channels,) by layer.
    """
    device = next(graph.parameters()).device
    inputs = torch.from_numpy(normalise(evenly(images, _IMAGES), spec)).to(device)
    expected, corrected = _Means(graph), _Means(graph)
    with torch.no_grad():
        set_simulation(graph, False)
        expected.run(inputs)
        set_simulation(graph, True)
        corrected.towards = expected.means
        corrected.run(inputs)
    return corrected.shifts


class _Means(Interpreter):
    """Runs a graph and keeps each layer's channel means; with `towards` it corrects them."""

    def __init__(self, graph: GraphModule) -> None:
        super().__init__(graph)
        self.graph_module = graph
        self.towards: dict[str, torch.Tensor] | None = None
        self.means: dict[str, torch.Tensor] = {}
        self.shifts: dict[str, torch.Tensor] = {}

    def run_node(self, n: Node) -> Any:
        """As the graph does, but for the outputs of a layer whose bias is corrected."""
        result = super().run_node(n)
        weight = simulating(self.graph_module, n.args[1]) if len(n.args) > 1 else None
        if not isinstance(weight, PerChannelWeight) or n.op != "call_function":
            return result
        mean = result.transpose(0, 1).flatten(1).mean(1)
        self.means[weight.key] = mean
        bias = n.args[2] if len(n.args) > 2 else None
        if self.towards is None or not isinstance(bias, Node) or "#" in weight.key:
            return result
        shift = self.towards[weight.key] - mean
        self.graph_module.get_parameter(str(bias.target)).add_(shift)
        self.shifts[weight.key] = shift
        return result + shift.reshape(-1, *[1] * (result.dim() - 2))
