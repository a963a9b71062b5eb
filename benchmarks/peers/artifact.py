"""A peer's file as an artifact, so that the runtimes run it exactly as they run ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from ai_edge_litert.interpreter import Interpreter

from edgesmith import contract as contracts
from edgesmith.contract import Contract, Description, Input, Output, Quantization
from edgesmith.errors import ContractError

SUFFIX = {"onnx": ".onnx", "tflite": ".tflite"}


def describe(folder: Path, reference: Contract, name: str, tools: dict[str, str]) -> Description:
    """What runs the file in `folder` that was made of the artifact described by `reference`.

    Its input and output may have other names and dtypes than the reference's, not other shapes.
    Raises ContractError where they do.
    """
    same = {key: getattr(reference, key) for key in Description.model_fields}
    plain = Description(**same).model_copy(
        update={
            "variant": name,
            "parent": reference.variant,
            "precision": "int8",
            "files": contracts.describe_files(folder),
            "tools": tools,
        }
    )
    path = plain.model_file(folder, SUFFIX[reference.format])
    source, result = _onnx_ends(path) if reference.format == "onnx" else _tflite_ends(path)
    taken = Input(**{**reference.input.model_dump(), **source})
    given = Output(**{**reference.outputs[0].model_dump(), **result})
    for what, now, before in (
        ("input", taken.shape, reference.input.shape),
        ("output", given.shape, reference.outputs[0].shape),
    ):
        if now != before:
            raise ContractError(
                f"{path}: {what} is {now}, the float network's is {before}; "
                "the peer changed the network: look at its options"
            )
    return plain.model_copy(update={"input": taken, "outputs": [given]})


def _onnx_ends(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    graph = onnx.load(str(path)).graph

    def end(value: onnx.ValueInfoProto) -> dict[str, Any]:
        tensor = value.type.tensor_type
        return {
            "name": value.name,
            "dtype": np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)).name,
            "shape": [size.dim_value if size.dim_value else -1 for size in tensor.shape.dim],
            "quantization": None,
        }

    return end(graph.input[0]), end(graph.output[0])


def _tflite_ends(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    interpreter = Interpreter(model_path=str(path))

    def end(detail: dict[str, Any]) -> dict[str, Any]:
        scale, zero_point = detail["quantization"]
        return {
            "name": detail["name"],
            "dtype": np.dtype(detail["dtype"]).name,
            "shape": detail["shape"].tolist(),
            "quantization": Quantization(scale=float(scale), zero_point=int(zero_point))
            if scale
            else None,
        }

    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    return end(source), end(result)
