"""A quantized convolution, intact or with one fault that TensorRT stops at."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Fault = Callable[[onnx.ModelProto], None]


def good() -> onnx.ModelProto:
    """Q, DQ, Conv with int8 weights per output channel, Relu; nothing to complain of."""
    constants = {
        "scale": np.array(0.1, np.float32),
        "zero": np.array(0, np.int8),
        "weight": np.random.default_rng(0).integers(-127, 128, (8, 3, 3, 3)).astype(np.int8),
        "weight_scale": np.full(8, 0.01, np.float32),
        "bias": np.zeros(8, np.float32),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["xq"], name="quantize"),
        helper.make_node("DequantizeLinear", ["xq", "scale", "zero"], ["xd"], name="dequantize"),
        helper.make_node(
            "DequantizeLinear", ["weight", "weight_scale"], ["wd"], name="weights", axis=0
        ),
        helper.make_node("Conv", ["xd", "wd", "bias"], ["c"], name="conv"),
        helper.make_node("Relu", ["c"], ["y"], name="last"),
    ]
    graph = helper.make_graph(
        nodes,
        "quantized",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, 14, 14])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def put(model: onnx.ModelProto, name: str, value: np.ndarray) -> None:
    """Replace, or add, a constant."""
    kept = [tensor for tensor in model.graph.initializer if tensor.name != name]
    del model.graph.initializer[:]
    model.graph.initializer.extend([*kept, numpy_helper.from_array(value, name)])


def node(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    """A node by name."""
    return next(entry for entry in model.graph.node if entry.name == name)


def asymmetric(model: onnx.ModelProto) -> None:
    put(model, "zero", np.array(3, np.int8))


def unsigned(model: onnx.ModelProto) -> None:
    put(model, "zero", np.array(0, np.uint8))


def implied_unsigned(model: onnx.ModelProto) -> None:
    del node(model, "quantize").input[2:]
    del node(model, "dequantize").input[2:]


def unsigned_weights(model: onnx.ModelProto) -> None:
    put(model, "weight", np.full((8, 3, 3, 3), 200, np.uint8))


def integer_bias(model: onnx.ModelProto) -> None:
    put(model, "bias32", np.zeros(8, np.int32))
    dequantize = helper.make_node(
        "DequantizeLinear", ["bias32", "weight_scale"], ["bd"], name="bias_dequantize", axis=0
    )
    model.graph.node.insert(0, dequantize)
    node(model, "conv").input[2] = "bd"


def wrong_axis(model: onnx.ModelProto) -> None:
    put(model, "weight_scale", np.full(3, 0.01, np.float32))
    node(model, "weights").attribute[0].i = 1


def wrong_count(model: onnx.ModelProto) -> None:
    put(model, "weight_scale", np.full(5, 0.01, np.float32))


def activation_per_channel(model: onnx.ModelProto) -> None:
    put(model, "scale", np.full(3, 0.1, np.float32))
    put(model, "zero", np.zeros(3, np.int8))


def dangling(model: onnx.ModelProto) -> None:
    model.graph.node.append(
        helper.make_node("QuantizeLinear", ["c", "scale", "zero"], ["cq"], name="alone")
    )
    model.graph.output.append(helper.make_tensor_value_info("cq", TensorProto.INT8, [1, 8, 14, 14]))


def integers_computed_with(model: onnx.ModelProto) -> None:
    node(model, "conv").input[0] = "xq"


def negative_scale(model: onnx.ModelProto) -> None:
    put(model, "scale", np.array(-0.1, np.float32))


def unsupported_operator(model: onnx.ModelProto) -> None:
    node(model, "last").op_type = "Det"


def unknown_operator(model: onnx.ModelProto) -> None:
    node(model, "last").op_type = "Frobnicate"


def free_batch(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"


def ancient_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 6


def double_weights(model: onnx.ModelProto) -> None:
    put(model, "factor", np.array(2.0, np.float64))
    last = node(model, "last")
    model.graph.node.remove(last)
    model.graph.node.extend(
        [
            helper.make_node("Cast", ["c"], ["cd"], to=TensorProto.DOUBLE),
            helper.make_node("Mul", ["cd", "factor"], ["m"], name="multiply"),
            helper.make_node("Cast", ["m"], ["y"], to=TensorProto.FLOAT),
        ]
    )


# What each does, where the finding points, and words of it.
REFUSED: dict[str, tuple[Fault, str, str]] = {
    "asymmetric": (asymmetric, "quantize", "zero point other than 0"),
    "unsigned": (unsigned, "quantize", "uint8"),
    "implied unsigned": (implied_unsigned, "quantize", "uint8"),
    "unsigned weights": (unsigned_weights, "weights", "uint8"),
    "integer bias": (integer_bias, "bias_dequantize", "int32, a bias"),
    "wrong axis": (wrong_axis, "weights", "axis 1; the output channels are axis 0"),
    "wrong count": (wrong_count, "weights", "5 scales for 8 channels"),
    "activation per channel": (activation_per_channel, "quantize", "3 scales for an activation"),
    "dangling": (dangling, "alone", "its integers go to no node"),
    "integers computed with": (integers_computed_with, "quantize", "go to Conv 'conv'"),
    "negative scale": (negative_scale, "quantize", "not above 0"),
    "unsupported operator": (unsupported_operator, "last", "no importer for Det"),
    "unknown operator": (unknown_operator, "last", "no importer for Frobnicate"),
    "free batch": (free_batch, "input x", "no optimization profile"),
    "ancient opset": (ancient_opset, "model", "opset 6"),
}
