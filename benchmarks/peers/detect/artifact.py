"""An export of Ultralytics as the runtimes take it: exactly as they run ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ncnn
import numpy as np
import onnx
from ai_edge_litert.interpreter import Interpreter

from benchmarks.peers.detect.outputs import is_single
from edgesmith import contract as contracts
from edgesmith import files
from edgesmith.contract import Contract, Description, Input, Output, Precision
from edgesmith.errors import ContractError
from edgesmith.runtimes import session as runtimes
from edgesmith.runtimes.session import Session

FILE = "description.json"


def describe(
    folder: Path,
    reference: Contract,
    name: str,
    format_name: str,
    precision: Precision,
    tools: dict[str, str],
) -> Description:
    """What runs the export in `folder`, of the weights behind `reference`; written there, too.

    Its one output stays as it is: `outputs` reads it. Raises ContractError for a network whose
    input Ultralytics could not have known, or whose output is neither of its forms.
    """
    spec = reference.input.preprocess
    if (spec.mean, spec.std) != ((0, 0, 0), (255, 255, 255)) or spec.colour != "RGB":
        raise ContractError(
            f"artifacts/{reference.variant}: Ultralytics feeds RGB in [0, 1], this detector takes "
            f"{spec.colour} with mean {spec.mean} and std {spec.std}; compare one that takes that"
        )
    same = {key: getattr(reference, key) for key in Description.model_fields}
    plain = Description(**same).model_copy(
        update={
            "variant": name,
            "parent": reference.variant,
            "format": format_name,
            "precision": precision,
            "files": {
                key: file for key, file in contracts.describe_files(folder).items() if key != FILE
            },
            "tools": tools,
        }
    )
    source, result = _ENDS[format_name](folder, plain)
    is_single(result["shape"][1:], len(plain.labels))
    description = plain.model_copy(
        update={
            "input": Input(
                **{**reference.input.model_dump(), "layout": "NCHW", "quantization": None, **source}
            ),
            # One tensor in Ultralytics' own form, which a session hands on as it is.
            "outputs": [Output(meaning="boxes", decode="none", dtype="float32", **result)],
        }
    )
    files.write_json(folder / FILE, description.model_dump(mode="json"))
    return description


def load(folder: Path, threads: int, providers: tuple[str, ...]) -> Session:
    """A session of a described export."""
    remedy = "run this command again"
    description = files.read_record(
        folder / FILE, Description, ContractError, missing=remedy, damaged=remedy
    )
    return runtimes.engine(folder, description).load(folder, description, threads, providers)


Ends = tuple[dict[str, Any], dict[str, Any]]


def _onnx_ends(folder: Path, plain: Description) -> Ends:
    graph = onnx.load(str(plain.model_file(folder, ".onnx"))).graph

    def end(value: onnx.ValueInfoProto) -> dict[str, Any]:
        sizes = value.type.tensor_type.shape.dim
        return {"name": value.name, "shape": [size.dim_value for size in sizes]}

    return end(graph.input[0]), end(graph.output[0])


def _tflite_ends(folder: Path, plain: Description) -> Ends:
    interpreter = Interpreter(model_path=str(plain.model_file(folder, ".tflite")))

    def end(detail: dict[str, Any]) -> dict[str, Any]:
        return {"name": detail["name"], "shape": detail["shape"].tolist()}

    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    return end(source), end(result)


def _ncnn_ends(folder: Path, plain: Description) -> Ends:
    """NCNN files hold no sizes: what comes out is seen when it runs."""
    net = ncnn.Net()
    for path, load_file in ((".param", net.load_param), (".bin", net.load_model)):
        if load_file(str(plain.model_file(folder, path))):
            raise ContractError(f"{folder}: ncnn cannot load what was exported; export it again")
    spec = plain.input.preprocess
    shape = [1, 3, spec.height, spec.width]
    image = np.zeros(shape[1:], np.float32)
    extractor = net.create_extractor()
    extractor.input(net.input_names()[0], ncnn.Mat(image))
    status, result = extractor.extract(net.output_names()[0])
    if status:
        raise ContractError(f"{folder}: ncnn ends with status {status}; export it again")
    return (
        {"name": net.input_names()[0], "shape": shape},
        {"name": net.output_names()[0], "shape": [1, *np.array(result).shape]},
    )


_ENDS = {"onnx": _onnx_ends, "tflite": _tflite_ends, "ncnn": _ncnn_ends}
