"""Which operators of a .tflite graph are attention, whose values are never rounded.

The converter writes a product of two computed matrices as BATCH_MATMUL, or for a single image and
head as FULLY_CONNECTED with computed weights; both take matrices (channels, positions), so that
attention has TRANSPOSE operators where the rest of a network needs none.
"""

from __future__ import annotations

from typing import Any

from edgesmith.formats.tflite_graph import Graph

_PRODUCTS = {"BATCH_MATMUL", "SOFTMAX"}
_MOVES = {"RESHAPE", "TRANSPOSE"}


def is_product(graph: Graph, operator: Any) -> bool:
    """Whether it multiplies computed values with one another, or weighs them (softmax)."""
    if graph.kind(operator) == "FULLY_CONNECTED":
        return graph.constant(int(operator.inputs[1])) is None
    return graph.kind(operator) in _PRODUCTS


def float_values(graph: Graph) -> set[int]:
    """Tensors that such operators give, moved or not."""
    found: set[int] = set()
    for operator in graph.operators:
        moved = graph.kind(operator) in _MOVES and int(operator.inputs[0]) in found
        if moved or is_product(graph, operator):
            found.add(int(operator.outputs[0]))
    return found


def computes_in_float(graph: Graph, operator: Any, floats: set[int]) -> bool:
    """Whether an operator is part of attention, or adds to what it gives (`floats`)."""
    return is_product(graph, operator) or any(int(index) in floats for index in operator.inputs)


def layout_changes(graph: Graph) -> list[str]:
    """Names of what TRANSPOSE gives outside of attention: each copies a whole activation."""
    floats = float_values(graph)
    readers: dict[int, list[Any]] = {}
    inside: set[int] = set()
    for operator in graph.operators:
        for index in operator.inputs:
            readers.setdefault(int(index), []).append(operator)
        if computes_in_float(graph, operator, floats):
            inside.add(int(operator.outputs[0]))

    def enters(index: int) -> bool:
        """Whether attention is all that reads a tensor."""
        return all(
            enters(int(reader.outputs[0]))
            if graph.kind(reader) in _MOVES and int(reader.outputs[0]) not in inside
            else int(reader.outputs[0]) in inside
            for reader in readers.get(index, [])
        ) and bool(readers.get(index))

    return [
        graph.tensor_name(int(operator.outputs[0]))
        for operator in graph.operators
        if graph.kind(operator) == "TRANSPOSE"
        and int(operator.inputs[0]) not in inside
        and not enters(int(operator.outputs[0]))
    ]


def drop_round_trips(graph: Graph) -> None:
    """Read what was transposed twice, there and back, where it came from."""
    made_by = {int(operator.outputs[0]): operator for operator in graph.operators}
    same: dict[int, int] = {}
    for operator in graph.operators:
        operator.inputs[:] = [same.get(int(index), int(index)) for index in operator.inputs]
        first = made_by.get(int(operator.inputs[0]))
        if first is None or {graph.kind(operator), graph.kind(first)} != {"TRANSPOSE"}:
            continue
        orders = [graph.constant(int(each.inputs[1])) for each in (first, operator)]
        if orders[0] is not None and orders[1] is not None:
            order = orders[0][orders[1]].tolist()
            kept = int(operator.outputs[0]) in (int(index) for index in graph.outputs)
            if order == sorted(order) and not kept:
                same[int(operator.outputs[0])] = int(first.inputs[0])
    graph.operators[:] = [op for op in graph.operators if int(op.outputs[0]) not in same]


def add_channels_last(graph: Graph) -> None:
    """Let attention's sums read and give channels last: one TRANSPOSE instead of two.

    The converter adds a map that it transposed to a value of attention, and transposes the sum
    back; transposed back is the value here, before it is added.
    """
    made_by = {int(operator.outputs[0]): operator for operator in graph.operators}
    readers: dict[int, list[Any]] = {}
    for operator in graph.operators:
        for index in operator.inputs:
            readers.setdefault(int(index), []).append(operator)
    moved: dict[int, Any] = {}
    for operator in graph.operators:
        following = readers.get(int(operator.outputs[0]), [])
        if graph.kind(operator) != "ADD" or [graph.kind(op) for op in following] != ["TRANSPOSE"]:
            continue
        (back,) = following
        for position in (0, 1):
            there = made_by.get(int(operator.inputs[position]))
            if there is None or graph.kind(there) != "TRANSPOSE":
                continue
            orders = [graph.constant(int(each.inputs[1])) for each in (there, back)]
            if orders[0] is None or orders[1] is None:
                continue
            if orders[0][orders[1]].tolist() != list(range(len(orders[1]))):
                continue
            other = int(operator.inputs[1 - position])
            shape = [graph.shape(other)[axis] for axis in orders[1]]
            operator.outputs[0] = int(back.outputs[0])
            value = graph.add_tensor(f"{graph.tensor_name(other)}+moved", "float32", shape)
            back.inputs[0], back.outputs[0] = other, value
            operator.inputs[position] = int(there.inputs[0])
            operator.inputs[1 - position] = value
            moved[id(operator)] = back
            break
    late = {id(back) for back in moved.values()}
    result: list[Any] = []
    for operator in graph.operators:
        if id(operator) in moved:
            result.append(moved[id(operator)])
        if id(operator) not in late:
            result.append(operator)
    read = {int(index) for operator in result for index in operator.inputs} | set(graph.outputs)
    graph.operators[:] = [
        op for op in result if graph.kind(op) != "TRANSPOSE" or int(op.outputs[0]) in read
    ]
