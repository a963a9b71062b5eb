"""A .tflite file as lists that can be changed: operators, tensors and their constants.

Read and written by the schema classes that come with LiteRT (`ai_edge_litert`); the schema itself
is tensorflow/compiler/mlir/lite/schema/schema.fbs.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from edgesmith.errors import ExportError

Array = npt.NDArray[Any]

IDENTIFIER = b"TFL3"
DTYPES: dict[str, int] = {
    "float32": schema.TensorType.FLOAT32,
    "float16": schema.TensorType.FLOAT16,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
    "uint8": schema.TensorType.UINT8,
    "int8": schema.TensorType.INT8,
}
_NAMES = {number: name for name, number in DTYPES.items()}
_KINDS = {
    number: name for name, number in vars(schema.BuiltinOperator).items() if name[:1].isupper()
}
# What a fused kernel does last; the numbers of the schema's ActivationFunctionType.
NO_ACTIVATION = int(schema.ActivationFunctionType.NONE)


class Graph:
    """The one subgraph of a .tflite file; operators are the schema's `OperatorT`, in order."""

    def __init__(self, content: bytes, name: str) -> None:
        """Parse `content`; ExportError calls it `name` when it is no such file."""
        self.name = name
        if content[4:8] != IDENTIFIER:
            raise ExportError(f"{name}: not a .tflite file (no {IDENTIFIER.decode()} at byte 4)")
        try:
            self.model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
        except (struct.error, ValueError, IndexError, TypeError, AttributeError) as error:
            raise ExportError(f"{name}: a damaged .tflite file ({error}); export it again") from (
                error
            )
        if len(self.model.subgraphs or []) != 1:
            raise ExportError(f"{name}: a .tflite file with control flow; only plain graphs fit")
        (self.subgraph,) = self.model.subgraphs

    @property
    def operators(self) -> list[Any]:
        """Every operator, in the order of execution."""
        return self.subgraph.operators  # type: ignore[no-any-return]

    @property
    def input(self) -> int:
        """Index of the tensor that holds the image."""
        return int(self.subgraph.inputs[0])

    @property
    def output(self) -> int:
        """Index of the tensor that holds the logits; of a detector the first of its maps."""
        return int(self.subgraph.outputs[0])

    @property
    def outputs(self) -> list[int]:
        """Index of every tensor that the network gives, in the order of the file."""
        return [int(index) for index in self.subgraph.outputs]

    def kind(self, operator: Any) -> str:
        """Its name in the schema: `CONV_2D`; a custom operator by the name it was given."""
        code = self.model.operatorCodes[operator.opcodeIndex]
        if code.customCode:
            return str(code.customCode.decode())
        # Old files hold the code in the first field, which ends at 127; both hold small ones.
        return str(_KINDS[max(code.builtinCode, code.deprecatedBuiltinCode)])

    def tensor(self, index: int) -> Any:
        """The schema's `TensorT` of an index."""
        return self.subgraph.tensors[index]

    def tensor_name(self, index: int) -> str:
        """What the tensor is called."""
        return str(self.tensor(index).name.decode())

    def dtype(self, index: int) -> str:
        """The tensor's type by numpy's name."""
        number = self.tensor(index).type
        return _NAMES.get(number, f"type {number}")

    def shape(self, index: int) -> tuple[int, ...]:
        """Sizes as stored; () for a scalar."""
        return tuple(int(size) for size in self.tensor(index).shape or ())

    def constant(self, index: int) -> Array | None:
        """The values of a tensor that is stored in the file, None for one that is computed."""
        if index < 0:
            return None
        data = self.model.buffers[self.tensor(index).buffer].data
        if data is None or len(data) == 0:
            return None
        content = np.asarray(data, np.uint8).tobytes()
        return np.frombuffer(content, self.dtype(index)).reshape(self.shape(index))

    def add_tensor(
        self, name: str, dtype: str, shape: Iterable[int], values: Array | None = None
    ) -> int:
        """Append a tensor, stored in the file if it has `values`; gives its index."""
        tensor = schema.TensorT()
        tensor.name, tensor.type = name.encode(), DTYPES[dtype]
        tensor.shape, tensor.hasRank, tensor.buffer = list(shape), True, 0
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        self.subgraph.tensors.append(tensor)
        return len(self.subgraph.tensors) - 1

    def new_operator(self, kind: str, version: int, inputs: list[int], output: int) -> Any:
        """An operator without options, not yet part of the graph."""
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(getattr(schema.BuiltinOperator, kind), version)
        operator.inputs, operator.outputs = inputs, [output]
        return operator

    def require_version(self, operator: Any, version: int) -> None:
        """Say that a runtime needs at least this version of the operator's kernel."""
        code = self.model.operatorCodes[operator.opcodeIndex]
        if code.version < version:
            operator.opcodeIndex = self._code(code.builtinCode, version)

    def shorten_names(self) -> None:
        """Name tensors by module path: the converter's names, 200 letters, are 3 % of a file."""
        taken: Counter[str] = Counter()
        for index, tensor in enumerate(self.subgraph.tensors):
            path = _module_path(tensor.name.decode())
            if self.constant(index) is not None:
                path += ".constant"
            taken[path] += 1
            tensor.name = (path if taken[path] == 1 else f"{path}+{taken[path] - 1}").encode()

    def pack(self) -> bytes:
        """The file, without tensors and constants that nothing reads."""
        self._drop_unused()
        return bytes(flatbuffer_utils.convert_object_to_bytearray(self.model))

    def _code(self, builtin: int, version: int) -> int:
        for index, code in enumerate(self.model.operatorCodes):
            if (code.builtinCode, code.version) == (builtin, version) and not code.customCode:
                return index
        code = schema.OperatorCodeT()
        code.builtinCode, code.version = builtin, version
        code.deprecatedBuiltinCode = min(builtin, 127)
        self.model.operatorCodes.append(code)
        return len(self.model.operatorCodes) - 1

    def _drop_unused(self) -> None:
        subgraph, model = self.subgraph, self.model
        lists = [subgraph.inputs, subgraph.outputs]
        for operator in subgraph.operators:
            lists += [operator.inputs, operator.outputs]
        used = sorted({int(index) for entries in lists for index in entries if index >= 0})
        place = {old: new for new, old in enumerate(used)} | {-1: -1}
        for entries in lists:
            entries[:] = [place[int(index)] for index in entries]
        for signature in model.signatureDefs or []:
            for entry in [*signature.inputs, *signature.outputs]:
                entry.tensorIndex = place[int(entry.tensorIndex)]
        subgraph.tensors = [subgraph.tensors[index] for index in used]
        # The converter's notes on itself; buffers are named by number there.
        model.metadata, model.metadataBuffer = [], []
        kept = sorted({int(tensor.buffer) for tensor in subgraph.tensors} | {0})
        moved = {old: new for new, old in enumerate(kept)}
        for tensor in subgraph.tensors:
            tensor.buffer = moved[int(tensor.buffer)]
        model.buffers = [model.buffers[index] for index in kept]
        codes = sorted({operator.opcodeIndex for operator in subgraph.operators})
        for operator in subgraph.operators:
            operator.opcodeIndex = codes.index(operator.opcodeIndex)
        model.operatorCodes = [model.operatorCodes[index] for index in codes]


def _module_path(name: str) -> str:
    """`a.Net_wrapped/b.Sequential_features/c.Conv2d_0;1` to `features.0`.

    An operator that was fused has several paths with `;` between; the first module is the last.
    """
    paths = [part for part in name.split(";") if "/" in part]
    if not paths:
        return name.split(";", maxsplit=1)[0]
    steps = [step.rpartition(".")[2].partition("_")[2] for step in paths[-1].split("/")]
    return ".".join(step for step in steps if step not in {"", "wrapped"}) or "network"
