"""Which layers of a simulated graph read integers, and how single ones are left in float."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from torch import nn
from torch.fx import GraphModule, Node

from edgesmith.compress.quantize.fake import PerChannelWeight, TensorRange
from edgesmith.compress.quantize.quantizer import FLOAT, PASS_THROUGH, WEIGHTED
from edgesmith.errors import ModelError, ParamsError


def leave_float(graph: GraphModule, layers: Sequence[str]) -> None:
    """Take the rounding away from the weights of `layers`, and from what no other layer reads.

    A tensor stays rounded while one reader is an integer kernel: a convolution or linear layer
    beside `layers`, or an addition; and where an integer kernel wrote it for float operators, as
    the query of an attention. Raises ModelError for a name that is no integer layer of the
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
    for key, nodes in calls.items():
        readers = [reader for node in nodes for reader in _readers(graph, node)]
        needless = [
            _is_float_layer(graph, reader) or (key in layers and _is_float(graph, reader))
            for reader in readers
        ]
        if readers and all(needless):
            for node in nodes:
                _remove(graph, node)
    graph.recompile()


def matching(patterns: Sequence[str], layers: Iterable[str], where: str) -> list[str]:
    """Those of `layers` that fit one of the glob `patterns` (`*attn*`), in their order.

    ParamsError names a pattern, found at `where` of params.yaml, that fits none.
    """
    known = list(layers)
    for pattern in patterns:
        if not any(fnmatchcase(layer, pattern) for layer in known):
            raise ParamsError(
                f"params.yaml: {where}: {pattern!r} fits no convolution or linear layer of the "
                f"network; its layers are called {known[0]} … {known[-1]}"
            )
    return [layer for layer in known if any(fnmatchcase(layer, p) for p in patterns)]


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


def _is_float(graph: GraphModule, node: Node) -> bool:
    """Whether an operator computes in float in every network: attention's, and sums with those."""
    return node.target in FLOAT or any(
        _comes_from_float(graph, source) for source in node.all_input_nodes
    )


def _comes_from_float(graph: GraphModule, node: Node) -> bool:
    while node.target in PASS_THROUGH:
        (node, *_) = node.all_input_nodes
    return node.target in FLOAT


def _remove(graph: GraphModule, node: Node) -> None:
    node.replace_all_uses_with(node.args[0])  # type: ignore[arg-type]
    graph.graph.erase_node(node)
