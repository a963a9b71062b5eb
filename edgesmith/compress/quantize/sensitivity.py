"""Which layer suffers most from 8 bits: each one rounded alone, the rest in float."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.fx import GraphModule, Interpreter, Node

from edgesmith.compress.quantize.fake import PerChannelWeight, TensorRange
from edgesmith.compress.quantize.fidelity import Fidelity, fidelity
from edgesmith.compress.quantize.graph import set_simulation
from edgesmith.compress.quantize.mixed import simulating
from edgesmith.preprocess import Float32Array, Preprocess, UInt8Array, normalise
from edgesmith.tasks.predict import Output, as_array

# Every value of the float pass is kept for a batch: 16 images of 224 x 224 take 1.3 GB in
# MobileNetV2; of small ones more fit.
_PIXELS = 16 * 224 * 224


def measure(graph: GraphModule, images: UInt8Array, spec: Preprocess) -> dict[str, Fidelity]:
    """Fidelity of the logits when one layer alone has 8-bit weights and inputs, worst layer first.

    `graph` is calibrated; `images` are (N, H, W, 3) uint8. Layers that are float in the graph have
    no entry.
    """
    device = next(graph.parameters()).device
    layers = _layers(graph)
    batch = max(1, _PIXELS // (spec.height * spec.width))
    expected: list[Float32Array] = []
    found: dict[str, list[Float32Array]] = {layer: [] for layer in layers}
    set_simulation(graph, False)
    with torch.no_grad():
        for begin in range(0, len(images), batch):
            inputs = torch.from_numpy(normalise(images[begin : begin + batch], spec)).to(device)
            whole = _Kept(graph)
            expected.append(as_array(whole.run(inputs)))
            for layer, parts in layers.items():
                for part in parts:
                    part.enable_fake_quant()
                # Nothing changes before the first tensor that is rounded now.
                found[layer].append(as_array(whole.again(inputs, parts)))
                for part in parts:
                    part.disable_fake_quant()
    set_simulation(graph, True)
    reference = np.concatenate(expected)
    levels = {key: fidelity(np.concatenate(parts), reference) for key, parts in found.items()}
    return dict(sorted(levels.items(), key=lambda pair: (pair[1].sqnr_db, pair[0])))


Parts = list[PerChannelWeight | TensorRange]


def _layers(graph: GraphModule) -> dict[str, Parts]:
    """What rounds the weights and the input of each integer layer."""
    found: dict[str, Parts] = {}
    for node in graph.graph.nodes:
        weight = simulating(graph, node.args[1]) if len(node.args) > 1 else None
        if isinstance(weight, PerChannelWeight):
            source = simulating(graph, node.args[0])
            found[weight.key] = [weight, *([source] if isinstance(source, TensorRange) else [])]
    return found


class _Kept(Interpreter):
    """Runs a graph once and keeps all values, then parts of it again."""

    def __init__(self, graph: GraphModule) -> None:
        super().__init__(graph, garbage_collect_values=False)
        self.graph_module = graph

    def run_node(self, n: Node) -> Any:
        """As the graph does, but no operator works in place: kept values must not change."""
        schema = getattr(n.target, "_schema", None)
        if schema is None or not schema.is_mutable:
            return super().run_node(n)
        with self._set_current_node(n):
            args, kwargs = self.fetch_args_kwargs_from_env(n)
            return n.target(args[0].clone(), *args[1:], **kwargs)  # type: ignore[operator]

    def again(self, inputs: torch.Tensor, parts: Parts) -> Output:
        """What the graph gives now that `parts` have changed; all before them is not run."""
        before: dict[Node, Any] = {}
        touched: set[Node] = set()
        for node in self.graph_module.graph.nodes:
            own = simulating(self.graph_module, node)
            changed = any(own is part for part in parts) or touched & set(node.all_input_nodes)
            if changed or node.op == "output":
                touched.add(node)
            else:
                before[node] = self.env[node]
        result: Output = _Kept(self.graph_module).run(inputs, initial_env=before)
        return result
