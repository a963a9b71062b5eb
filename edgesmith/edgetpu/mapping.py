"""Which operators of a .tflite file the Edge TPU would take, and why not the others.

The rules are those of "TensorFlow models on the Edge TPU" (coral.ai/docs/edgetpu/models-intro) and
of messages of compiler 16.0, the last: it is closed, and may still leave an operator to the CPU.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from ai_edge_litert import schema_py_generated as schema

from edgesmith import contract as contracts
from edgesmith.errors import ContractError
from edgesmith.findings import Finding, caution, refused

# Supported operators, and the newest version of each that compiler 16.0 can parse. Where a model
# holds a newer one of any operator it parses none of it ("Registration failed. Invalid model"):
# CONV_2D 6 and QUANTIZE 3 were seen refused (google-coral/edgetpu#631, #879); the other limits are
# those of TensorFlow Lite of that time (tensorflow/lite/kernels/register.cc).
SUPPORTED = {
    **{"ADD": 4, "AVERAGE_POOL_2D": 3, "CONCATENATION": 3, "CONV_2D": 5, "DEPTHWISE_CONV_2D": 6},
    **{"EXPAND_DIMS": 1, "FULLY_CONNECTED": 9, "L2_NORMALIZATION": 2, "LOGISTIC": 3},
    **{"MAXIMUM": 4, "MAX_POOL_2D": 3, "MEAN": 3, "MINIMUM": 4, "MUL": 5, "PACK": 3, "PAD": 4},
    **{"PRELU": 1, "QUANTIZE": 2, "REDUCE_MAX": 3, "REDUCE_MIN": 3, "RELU": 3, "RELU6": 3},
    **{"RELU_N1_TO_1": 1, "RESHAPE": 1, "RESIZE_BILINEAR": 4, "RESIZE_NEAREST_NEIGHBOR": 4},
    **{"RSQRT": 2, "SLICE": 5, "SOFTMAX": 3, "SPACE_TO_DEPTH": 2, "SPLIT": 4, "SQUEEZE": 2},
    **{"STRIDED_SLICE": 6, "SUB": 5, "SUM": 2, "SQUARED_DIFFERENCE": 2, "TANH": 3},
    **{"TRANSPOSE": 5, "TRANSPOSE_CONV": 3},
}
_NAMES = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
_TYPES = {v: k for k, v in vars(schema.TensorType).items() if isinstance(v, int)}
_QUANTIZED = {"INT8", "UINT8"}
# Shapes, axes and biases are int32.
_CONSTANT = {"INT8", "UINT8", "INT32"}


class Mapping(NamedTuple):
    """`operators` of the model, and how many of them would be `on_edgetpu`."""

    operators: int
    on_edgetpu: int
    findings: list[Finding]


def map_artifact(artifact: Path) -> Mapping:
    """The mapping of a TFLite artifact whose files match its contract; ContractError else."""
    contract = contracts.verify(artifact)
    if contract.format != "tflite":
        raise ContractError(
            f"{artifact}: holds {contract.format}; the Edge TPU takes the full-integer tflite: "
            f"lint artifacts/{contract.variant}/tflite"
        )
    return map_model(contract.model_file(artifact, ".tflite").read_bytes())


def map_model(content: bytes) -> Mapping:
    """The mapping of a .tflite file's content."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph, findings = model.subgraphs[0], []
    if len(model.subgraphs) > 1:
        findings.append(refused("model", "control flow", "export it as one graph"))
    on_tpu = 0
    mapped_values: set[int] = set()  # what the Edge TPU computed
    after_cut: set[int] = set()  # what the CPU computed of it
    for number, operator in enumerate(graph.operators):
        code = model.operatorCodes[operator.opcodeIndex]
        builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
        name = _NAMES.get(builtin, f"operator {builtin}")
        where = f"operator {number} ({name})"
        newest = SUPPORTED.get(name)
        if newest is not None and code.version > newest:
            findings.append(refused(where, _too_new(name, code.version, newest), _remedy(name)))
        reason = _why_not(name, operator, graph, model)
        inputs = {index for index in operator.inputs if index >= 0}
        if reason is None and inputs & after_cut:
            reason = "it comes after the first one on the CPU: there is one Edge TPU graph"
        if reason is None:
            on_tpu += 1
            mapped_values |= set(operator.outputs)
            continue
        if inputs & (mapped_values | after_cut):
            after_cut |= set(operator.outputs)
        findings.append(caution(where, f"runs on the CPU: {reason}", _remedy(name)))
    if on_tpu == 0:
        findings.append(
            refused("model", "nothing would run on the Edge TPU", "export an INT8 variant")
        )
    return Mapping(len(graph.operators), on_tpu, findings)


def _too_new(name: str, version: int, newest: int) -> str:
    return f"{name} version {version}; compiler 16.0 parses no model with one above {newest}"


def _remedy(name: str) -> str:
    if name == "FULLY_CONNECTED":
        return "quantize this layer with one scale per tensor, or make it a 1 × 1 convolution"
    if name in {"QUANTIZE", "DEQUANTIZE"}:
        return "give and take integers at the ends, or leave it: it is cheap"
    return "replace the operator, or move it behind the last layer"


def _why_not(name: str, operator: Any, graph: Any, model: Any) -> str | None:
    """Why an operator alone would not be mapped; None if it would."""
    if name not in SUPPORTED:
        return f"the Edge TPU has no {name}"
    for index in [*operator.inputs, *operator.outputs]:
        if index < 0:
            continue
        tensor = graph.tensors[index]
        constant = model.buffers[tensor.buffer].data is not None
        kind = _TYPES[tensor.type]
        if kind not in (_CONSTANT if constant else _QUANTIZED):
            return f"{kind.lower()} data"
        shape = [] if tensor.shape is None else [int(size) for size in tensor.shape]
        signature = shape if tensor.shapeSignature is None else list(tensor.shapeSignature)
        if any(size < 0 for size in signature):
            return "a size that is not known beforehand"
        # Weights are laid out by the compiler; activations have three dimensions and a batch of 1.
        if not constant and any(size > 1 for size in shape[:-3]):
            return f"a tensor of {'×'.join(map(str, shape))}: only the innermost three may exceed 1"
    return None
