"""Which layers of a simulated graph read integers, and how single ones are left in float."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import nn
from torch.fx import GraphModule, Node

from edgesmith.compress.quantize.fake import PerChannelWeight, TensorRange
from edgesmith.compress.quantize.quantizer import PASS_THROUGH, WEIGHTED
from edgesmith.errors import ModelError


def leave_float(graph: GraphModule, layers: Sequence[str]) -> None:
    """Take the rounding away from the weights of `layers`, and from what no other layer reads.

    A tensor stays rounded while one reader is an integer kernel: a convolution or linear layer
    beside `layers`, or an addition. Raises ModelError for a name that is no integer layer of the
    graph. Layers may be left float one after another; the result is that of all at once.
    """
    weights = {
        module.key: node
        for node in graph.graph.nodes
        if isinstance(module := simulating(graph, node), PerChannelWeight)
    }
    for layer in layers:
        if layer not in weights:
            raise ModelError(
                f"layer {layer}: to be left in float, but no integer layer of the network; "
                "rebuild the variant: `dvc repro`"
            )
        _remove(graph, weights[layer])
    if not layers:
        return
    calls: dict[str, list[Node]] = {}
    for node in graph.graph.nodes:
        if isinstance(module := simulating(graph, node), TensorRange):
            calls.setdefault(module.key, []).append(node)
    for nodes in calls.values():
        readers = [reader for node in nodes for reader in _readers(graph, node)]
        if readers and all(_is_float_layer(graph, reader) for reader in readers):
            for node in nodes:
                _remove(graph, node)
    graph.recompile()


def simulating(graph: GraphModule, node: object) -> nn.Module | None:
    """The module that makes this value of the graph; None where no module does."""
    if isinstance(node, Node) and node.op == "call_module":
        return graph.get_submodule(str(node.target))
    return None


def input_keys(graph: GraphModule) -> dict[str, str]:
    """Range key of the tensor that each convolution and linear layer reads, in the graph's order.

    Pooling and reshaping in between share their input's range, so a key is always that of the
    operator that gave the values. ModelError names a layer whose input is not quantized.
    """
    found = {}
    for node in graph.graph.nodes:
        weight = simulating(graph, node.args[1]) if len(node.args) > 1 else None
        if not isinstance(weight, PerChannelWeight):
            continue
        source = simulating(graph, node.args[0])
        if not isinstance(source, TensorRange):
            raise ModelError(
                f"layer {weight.key}: the graph does not quantize what it reads; add a rule to "
                "compress/quantize/quantizer.py"
            )
        found[weight.key] = source.key
    return found


def _readers(graph: GraphModule, node: Node) -> Iterator[Node]:
    """What computes with a value, behind poolings and reshapings, which share its range."""
    for user in node.users:
        if user.target in PASS_THROUGH or isinstance(simulating(graph, user), TensorRange):
            yield from _readers(graph, user)
        elif user.users or user.op == "output":  # not the check of the input's shape
            yield user


def _is_float_layer(graph: GraphModule, node: Node) -> bool:
    rounded = len(node.args) > 1 and isinstance(simulating(graph, node.args[1]), PerChannelWeight)
    return node.target in WEIGHTED and not rounded


def _remove(graph: GraphModule, node: Node) -> None:
    node.replace_all_uses_with(node.args[0])  # type: ignore[arg-type]
    graph.graph.erase_node(node)
