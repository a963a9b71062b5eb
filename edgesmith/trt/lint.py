"""What TensorRT would refuse of an ONNX model, found without TensorRT.

Needs `onnx` alone. The rules are those of onnx-tensorrt's importers; tests/trt/test_rtx.py shows
which of them the parser and builder of tensorrt-rtx 1.7.1 stop at too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from edgesmith import contract as contracts
from edgesmith.errors import ContractError
from edgesmith.findings import Finding, caution, refused
from edgesmith.trt import operators
from edgesmith.trt.operators import OLDEST, Version

FORMATS = ("onnx", "onnx-trt")
_QUANTIZERS = {"QuantizeLinear", "DequantizeLinear"}
# Between a weight's DequantizeLinear and the layer that multiplies with it.
_MOVES = {"Reshape", "Transpose", "Identity", "Cast"}
_EXPORT = "export it again as onnx-trt (formats/qdq.py, scheme symmetric)"


def lint_artifact(artifact: Path, version: Version = OLDEST) -> list[Finding]:
    """Findings on an ONNX artifact whose files match its contract; ContractError else."""
    contract = contracts.verify(artifact)
    if contract.format not in FORMATS:
        raise ContractError(
            f"{artifact}: holds {contract.format}; TensorRT takes {' or '.join(FORMATS)}: "
            f"lint artifacts/{contract.variant}/onnx-trt"
        )
    return lint(onnx.load(contract.model_file(artifact, ".onnx")), version)


def lint(model: onnx.ModelProto, version: Version = OLDEST) -> list[Finding]:
    """All findings on `model` for a TensorRT of `version` or newer, in the graph's order."""
    return [*_opset(model, version), *_Graph(model.graph, version).findings()]


def _opset(model: onnx.ModelProto, version: Version) -> Iterator[Finding]:
    found = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    for domain in sorted(found.keys() - {"ai.onnx"}):
        yield caution(
            "model",
            f"imports operators of the domain {domain!r}",
            "TensorRT looks for plugins of their names; export with ONNX's own operators",
        )
    opset, newest = found.get("ai.onnx", 0), operators.documented_opset(version)
    if opset < operators.MIN_OPSET:
        yield refused(
            "model",
            f"opset {opset}; operators are read as those of {operators.MIN_OPSET} and newer",
            "set export.opset in params.yaml to 17 or more and export again",
        )
    elif opset > newest:
        yield caution(
            "model",
            f"opset {opset}; TensorRT {version} documents up to {newest}",
            "the parser goes by operator names and takes newer ones as if they were old; "
            "`edgesmith lint --build` tries it",
        )


@dataclass
class _Graph:
    graph: onnx.GraphProto
    version: Version
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)
    users: dict[str, list[onnx.NodeProto]] = field(default_factory=dict)
    makers: dict[str, onnx.NodeProto] = field(default_factory=dict)

    def findings(self) -> Iterator[Finding]:
        self.constants = {tensor.name: tensor for tensor in self.graph.initializer}
        for node in self.graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self.constants[node.output[0]] = node.attribute[0].t
            for name in node.input:
                self.users.setdefault(name, []).append(node)
            for name in node.output:
                self.makers[name] = node
        yield from self._shapes()
        yield from self._constants()
        for node in self.graph.node:
            yield from self._operator(node)
            if node.op_type in _QUANTIZERS:
                yield from self._quantizer(node)

    def _shapes(self) -> Iterator[Finding]:
        for value in self.graph.input:
            if value.name in self.constants:
                continue
            shape = value.type.tensor_type.shape.dim
            free = [k for k, size in enumerate(shape) if not size.HasField("dim_value")]
            if free:
                yield refused(
                    f"input {value.name}",
                    f"dimension {free[0]} is free and there is no optimization profile",
                    "export for one shape (the onnx-trt format always does)",
                )

    def _constants(self) -> Iterator[Finding]:
        for name, tensor in self.constants.items():
            if tensor.data_type == TensorProto.DOUBLE:
                yield caution(
                    f"weight {name}",
                    "float64; TensorRT computes it as float32, clamped",
                    "store it as float32",
                )
            if tensor.data_type == TensorProto.INT64 and self.version.major < 10:
                values = numpy_helper.to_array(tensor)
                if values.size and np.abs(values).max() > np.iinfo(np.int32).max:
                    yield caution(
                        f"weight {name}",
                        f"int64 values beyond int32; TensorRT {self.version} clamps them",
                        "use TensorRT 10, or smaller values",
                    )

    def _operator(self, node: onnx.NodeProto) -> Iterator[Finding]:
        if node.domain in {"", "ai.onnx"}:
            if node.op_type in operators.refused(self.version) or not _is_known(node.op_type):
                yield refused(
                    _name(node),
                    f"TensorRT {self.version} has no importer for {node.op_type}",
                    "replace the operator in the network, or compute it after the last layer",
                )
            elif node.op_type == "MaxPool" and len(node.output) > 1:
                yield refused(
                    _name(node),
                    "MaxPool gives indices, which TensorRT does not",
                    "use the pooled values alone",
                )
        if node.op_type in {"Conv", "ConvTranspose"} and not self._is_constant(node.input[1]):
            yield caution(
                _name(node),
                "its weights are computed while running",
                "hold them as constants, or TensorRT cannot fold or quantize them",
            )

    def _quantizer(self, node: onnx.NodeProto) -> Iterator[Finding]:
        source = self.constants.get(node.input[0])
        zero = self.constants.get(node.input[2]) if len(node.input) > 2 else None
        scale = self.constants.get(node.input[1])
        if node.op_type == "QuantizeLinear":
            yield from self._followed(node)
        if source is not None and source.data_type == TensorProto.INT32:
            yield refused(_name(node), "dequantizes int32, a bias", "keep biases float; " + _EXPORT)
            return
        if source is not None and source.data_type == TensorProto.UINT8:
            yield refused(_name(node), "its weights are uint8", "TensorRT takes int8; " + _EXPORT)
        if zero is not None and np.any(numpy_helper.to_array(zero) != 0):
            yield refused(_name(node), "a zero point other than 0", _EXPORT)
        if node.op_type == "QuantizeLinear" and self._unsigned(node, zero):
            yield refused(
                _name(node), "quantizes to uint8, which only some DLAs take", "use int8; " + _EXPORT
            )
        if scale is None:
            yield refused(_name(node), "its scale is no constant", "calibrate before the export")
            return
        scales = numpy_helper.to_array(scale)
        if np.any(~(scales > 0)):
            yield refused(_name(node), "a scale that is not above 0", "calibrate it again")
        if scales.size > 1:
            yield from self._per_channel(node, source, scales.size)

    def _unsigned(self, node: onnx.NodeProto, zero: onnx.TensorProto | None) -> bool:
        if zero is not None:
            return bool(zero.data_type == TensorProto.UINT8)
        # Without a zero point ONNX's own default is uint8, unless the attribute says otherwise.
        kind = next((a.i for a in node.attribute if a.name == "output_dtype"), 0)
        return kind in {0, TensorProto.UINT8}

    def _followed(self, node: onnx.NodeProto) -> Iterator[Finding]:
        users = self.users.get(node.output[0], [])
        others = [user for user in users if user.op_type != "DequantizeLinear"]
        if not users or others:
            after = f"{others[0].op_type} {others[0].name!r}" if others else "no node"
            yield refused(
                _name(node),
                f"its integers go to {after}, not to a DequantizeLinear",
                "quantization comes in pairs: add the DequantizeLinear",
            )

    def _per_channel(
        self, node: onnx.NodeProto, source: onnx.TensorProto | None, count: int
    ) -> Iterator[Finding]:
        axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
        if source is None:
            yield refused(
                _name(node),
                f"{count} scales for an activation",
                "TensorRT takes one scale per activation; " + _EXPORT,
            )
            return
        axis = axis + len(source.dims) if axis < 0 else axis
        wanted = self._channel_axis(node)
        if wanted is not None and axis != wanted:
            yield refused(
                _name(node),
                f"scales along axis {axis}; the output channels are axis {wanted}",
                "quantize weights per output channel, or TensorRT multiplies in float",
            )
        elif axis >= len(source.dims) or source.dims[axis] != count:
            size = source.dims[axis] if axis < len(source.dims) else 0
            yield refused(
                _name(node), f"{count} scales for {size} channels", "quantize the weights again"
            )

    def _channel_axis(self, node: onnx.NodeProto) -> int | None:
        """The axis of the output channels, by the layer that reads the weights."""
        users = self.users.get(node.output[0], [])
        if len(users) != 1 or users[0].op_type in _MOVES:
            return None
        layer = users[0]
        if layer.op_type == "Gemm":
            return 0 if any(a.name == "transB" and a.i == 1 for a in layer.attribute) else 1
        return {"Conv": 0, "ConvTranspose": 1}.get(layer.op_type)

    def _is_constant(self, value: str) -> bool:
        while value not in self.constants and value in self.makers:
            if self.makers[value].op_type not in {*_MOVES, *_QUANTIZERS}:
                return False
            value = self.makers[value].input[0]
        return value in self.constants


def _is_known(operator: str) -> bool:
    return bool(onnx.defs.has(operator))


def _name(node: onnx.NodeProto) -> str:
    return f"node {node.name or node.output[0]} ({node.op_type})"
