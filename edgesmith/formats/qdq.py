"""Ranges of `quantization.json` as QuantizeLinear/DequantizeLinear pairs in a float ONNX graph.

Two renderings of the same ranges: `affine` for ONNX Runtime (uint8 activations with a zero point,
int8 weights, int32 biases: the U8S8 kernels of x86 and the fastest of ARM), and `symmetric` for
TensorRT (int8, zero points 0, float biases).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from edgesmith.compress.quantize.ranges import Quantization, Range
from edgesmith.errors import ExportError
from edgesmith.formats.qdq_keys import FLOAT, FUSED, OTHERS, PASS_THROUGH, WEIGHTED, Keys

Scheme = Literal["affine", "symmetric"]


def insert(
    model: onnx.ModelProto, keys: Keys, quantization: Quantization, scheme: Scheme
) -> onnx.ModelProto:
    """A copy of the float `model` with every range of `quantization` rendered by `scheme`.

    Raises ExportError naming the layer for an operator without a rule, and for ranges that the
    graph and the variant do not share.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    _Inserter(result.graph, keys, quantization, scheme).run()
    return result


@dataclass
class _Inserter:
    graph: onnx.GraphProto
    keys: Keys
    quantization: Quantization
    scheme: Scheme
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    # Quantized value -> (name of its dequantized twin, its range).
    quantized: dict[str, tuple[str, Range]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def run(self) -> None:
        self.constants: dict[str, npt.NDArray[np.float32]] = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in self.graph.initializer
        }
        self.outputs = {value.name for value in self.graph.output}
        self.users: dict[str, list[onnx.NodeProto]] = {}
        for node in self.graph.node:
            for name in node.input:
                self.users.setdefault(name, []).append(node)
        self.floats = self._never_rounded()
        ranges = self._ranges_of_values()
        source = self.graph.input[0].name
        if source in ranges:
            self._quantize_value(source, ranges[source])
        for node in self.graph.node:
            self._rewrite(node, ranges)
        missing = sorted(self.quantization.activations.keys() - self.used)
        if missing:
            raise ExportError(
                f"layer {missing[0]}: its range has no tensor in the ONNX graph; "
                "the simplifier removed it or its name changed: report the model"
            )
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        self._drop_unused_constants()

    def _ranges_of_values(self) -> dict[str, Range]:
        """Range of each value that is quantized: the outputs of fused kernels, and the input."""
        ranges: dict[str, Range] = {}
        for value, key in self.keys.items():
            last = value
            while (user := self._only_user(last)) is not None and user.op_type in FUSED:
                last = user.output[0]
            if last in self.outputs:
                continue
            if key not in self.quantization.activations:
                if self._is_only_read_in_float(last):
                    continue
                raise ExportError(
                    f"layer {key}: quantization.json has no range for it; "
                    "rebuild the variant: `dvc repro`"
                )
            ranges[last] = self.quantization.activations[key]
            self.used.add(key)
        return ranges

    def _only_user(self, value: str) -> onnx.NodeProto | None:
        users = self.users.get(value, [])
        return users[0] if len(users) == 1 and value not in self.outputs else None

    def _is_only_read_in_float(self, value: str) -> bool:
        """Whether all that computes with a value are layers that stay float."""
        users = self.users.get(value, [])
        for user in users:
            if user.op_type in PASS_THROUGH:
                if not self._is_only_read_in_float(user.output[0]):
                    return False
            elif not self._computes_in_float(user):
                return False
        return bool(users) and value not in self.outputs

    def _computes_in_float(self, node: onnx.NodeProto) -> bool:
        if node.op_type in FLOAT or any(name in self.floats for name in node.input):
            return True
        return self.keys.get(node.output[0]) in self.quantization.float_layers

    def _never_rounded(self) -> set[str]:
        """Values that attention computes, and what pooling and reshaping make of them."""
        found: set[str] = set()
        for node in self.graph.node:
            passes = node.op_type in PASS_THROUGH and node.input[0] in found
            if node.op_type in FLOAT or passes:
                found.add(node.output[0])
        return found

    def _rewrite(self, node: onnx.NodeProto, ranges: dict[str, Range]) -> None:
        known = WEIGHTED | FUSED | PASS_THROUGH | FLOAT | OTHERS.keys()
        if node.op_type not in known:
            raise ExportError(
                f"node {node.name} ({node.op_type}): no rule to quantize it; "
                "leave this variant unquantized or add a rule to formats/qdq.py"
            )
        layer = self.keys.get(node.output[0])
        if node.op_type in WEIGHTED and layer not in self.quantization.float_layers:
            self._quantize_weights(node)
        passed = self.quantized.get(node.input[0]) if node.op_type in PASS_THROUGH else None
        for index, name in enumerate(node.input):
            if name in self.quantized:
                node.input[index] = self.quantized[name][0]
        self.nodes.append(node)
        output = node.output[0]
        if output in self.outputs:
            return
        if passed is not None:
            self._quantize_value(output, passed[1])
        elif output in ranges:
            self._quantize_value(output, ranges[output])

    def _quantize_value(self, value: str, values: Range) -> None:
        if self.scheme == "affine":
            scale, zero = values.affine()
            # The same levels shifted by 128: x86 multiplies uint8 activations with int8 weights.
            zero_point = np.array(zero + 128, np.uint8)
        else:
            scale, zero_point = values.symmetric(), np.array(0, np.int8)
        names = [
            self._constant(f"{value}_scale", np.array(scale, np.float32)),
            self._constant(f"{value}_zero_point", zero_point),
        ]
        self._pair(value, names)
        self.quantized[value] = (f"{value}_dequantized", values)

    def _pair(self, value: str, parameters: list[str]) -> None:
        integer = f"{value}_quantized"
        self.nodes.append(
            helper.make_node(
                "QuantizeLinear", [value, *parameters], [integer], name=f"{value}_quantize"
            )
        )
        self.nodes.append(
            helper.make_node(
                "DequantizeLinear",
                [integer, *parameters],
                [f"{value}_dequantized"],
                name=f"{value}_dequantize",
            )
        )

    def _quantize_weights(self, node: onnx.NodeProto) -> None:
        layer = self.keys.get(node.output[0], "")
        scales = np.array(self.quantization.weights.get(layer, []), np.float32)
        weight = self.constants.get(node.input[1])
        if weight is None or len(scales) != weight.shape[0]:
            raise ExportError(
                f"layer {layer or node.name}: {len(scales)} weight scales in quantization.json for "
                f"{'no constant weight' if weight is None else f'{weight.shape[0]} channels'}; "
                "rebuild the variant: `dvc repro`"
            )
        if node.op_type == "Gemm" and not _transposed(node):
            raise ExportError(f"layer {layer}: a linear layer whose weight is not transposed")
        shape = (-1,) + (1,) * (weight.ndim - 1)
        integers = np.clip(np.rint(weight / scales.reshape(shape)), -127, 127).astype(np.int8)
        source = node.input[0]
        if source not in self.quantized:
            raise ExportError(
                f"layer {layer}: quantization.json has no range for what it reads ({source}); "
                "rebuild the variant: `dvc repro`"
            )
        # ONNX Runtime's Conv compares zero points that it is given with 0 in every run; its integer
        # Gemm is only chosen where they are there.
        affine = self.scheme == "affine"
        implied = affine and node.op_type == "Conv"
        node.input[1] = self._dequantized(f"{layer}.weight", integers, scales, implied=implied)
        if affine and len(node.input) > 2:
            _, values = self.quantized[source]
            # int32 biases in units of input scale times weight scale, as integer kernels add them.
            units = np.float64(values.affine()[0]) * scales.astype(np.float64)
            bias = np.rint(self.constants[node.input[2]] / units)
            limit = 2**31 - 1
            node.input[2] = self._dequantized(
                f"{layer}.bias",
                np.clip(bias, -limit, limit).astype(np.int32),
                units.astype(np.float32),
                implied=True,
            )

    def _dequantized(
        self,
        name: str,
        integers: npt.NDArray[np.integer],
        scales: npt.NDArray[np.float32],
        *,
        implied: bool,
    ) -> str:
        """A constant held as integers, one scale per entry of its first axis.

        Its zero points are 0, which need not be written (`implied`).
        """
        inputs = [
            self._constant(f"{name}_quantized", integers),
            self._constant(f"{name}_scale", scales),
        ]
        if not implied:
            zeros = np.zeros(len(scales), integers.dtype)
            inputs.append(self._constant(f"{name}_zero_point", zeros))
        output = f"{name}_dequantized"
        self.nodes.append(
            helper.make_node(
                "DequantizeLinear", inputs, [output], name=f"{name}_dequantize", axis=0
            )
        )
        return output

    def _constant(self, name: str, value: npt.NDArray[np.generic]) -> str:
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def _drop_unused_constants(self) -> None:
        needed = {name for node in self.graph.node for name in node.input}
        kept = [tensor for tensor in self.graph.initializer if tensor.name in needed]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)


def _transposed(gemm: onnx.NodeProto) -> bool:
    return any(a.name == "transB" and a.i == 1 for a in gemm.attribute)
