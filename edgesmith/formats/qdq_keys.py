"""Which value of an ONNX graph has which range, by what its operators are.

Range keys come from the module paths that torch's exporter records, and are those that
`compress.quantize.quantizer` gives the torch graph.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx

WEIGHTED = {"Conv", "Gemm"}
FUSED = {"Relu", "Clip"}
OTHERS = {
    "Add": "add",
    "Mul": "mul",
    "Concat": "concat",
    "HardSwish": "hardswish",
    "HardSigmoid": "hardsigmoid",
    "Sigmoid": "sigmoid",
}
PASS_THROUGH = {
    "GlobalAveragePool",
    "AveragePool",
    "MaxPool",
    "ReduceMean",
    "Reshape",
    "Flatten",
    "Pad",
    "Identity",
    "Resize",
    "Transpose",
}
# Attention: between these no value is rounded.
FLOAT = {"MatMul", "Softmax"}
_SCOPES = "pkg.torch.onnx.name_scopes"

Keys = dict[str, str]


def range_keys(model: onnx.ModelProto) -> Keys:
    """Range key of each operator's output, from the module paths that torch's exporter records.

    The same keys that `compress.quantize.quantizer` gives the torch graph, for every operator that
    may start a fused kernel. To be read before the graph is simplified and its metadata dropped.
    """
    keys: Keys = {model.graph.input[0].name: "input"}
    taken: list[str] = []
    # What computes shapes of a graph with a free batch.
    sizes = {
        value.name
        for value in model.graph.value_info
        if value.type.tensor_type.elem_type == onnx.TensorProto.INT64
    }
    for node in model.graph.node:
        if node.op_type not in WEIGHTED and node.op_type not in OTHERS:
            continue
        if node.output[0] in sizes:
            continue
        scopes = next((p.value for p in node.metadata_props if p.key == _SCOPES), None)
        if scopes is None:
            continue
        path = [part.strip(" '\"") for part in scopes.strip("[]").split(",")][-2]
        key = path if node.op_type in WEIGHTED else f"{path}/{OTHERS[node.op_type]}"
        number = sum(known == key or known.startswith(f"{key}#") for known in taken)
        key = key if number == 0 else f"{key}#{number}"
        taken.append(key)
        keys[node.output[0]] = key
    return keys


def layer_outputs(model: onnx.ModelProto, keys: Mapping[str, str]) -> dict[str, str]:
    """Range key -> name of the value that holds the layer's dequantized output."""
    present = {name for node in model.graph.node for name in node.output}
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    found = {}
    for value, key in keys.items():
        last = value
        while len(users.get(last, [])) == 1 and users[last][0].op_type in FUSED:
            last = users[last][0].output[0]
        name = f"{last}_dequantized"
        if name in present:
            found[key] = name
    return found
