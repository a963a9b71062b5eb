"""Build the engine of an ONNX artifact on the machine that will run it.

The network is strongly typed: what is FP16 or INT8 in the ONNX file is so in the engine, in
TensorRT 10 and 11 alike. The engine is run before it is admitted, against ONNX Runtime on the same
file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorrt

from edgesmith import contract as contracts
from edgesmith import files
from edgesmith.contract import Contract, Description, Parity
from edgesmith.decode.classify import top_k
from edgesmith.decode.detect import objects
from edgesmith.errors import ExportError, ParityError
from edgesmith.preprocess import Float32Array
from edgesmith.runtimes import session as runtimes
from edgesmith.runtimes import tensorrt as runtime
from edgesmith.trt import key, network, operators
from edgesmith.trt.images import Trial
from edgesmith.trt.spec import BuildSpec, make

FILE = "model.engine"


def build(
    source: Path,
    artifact: Path,
    *,
    min_sqnr_db: float,
    trial: Trial,
    workspace_mb: int = 1024,
    dla: bool = False,
    timing_cache: Path | None = None,
    log_file: Path | None = None,
) -> Contract:
    """Build the engine of the ONNX artifact `source` as the folder `artifact`; its contract.

    `artifact` is replaced when all has succeeded and stays as it was otherwise. All that the
    builder says of tactics goes to `log_file`. Raises ExportError for a model that TensorRT
    refuses, ParityError for an engine further than `min_sqnr_db` from ONNX Runtime on `trial`.
    """
    contract = contracts.verify(source)
    spec = make(contract, workspace_mb=workspace_mb, dla=dla)
    machine = runtime.here()
    _require_version(spec, machine.tensorrt)
    said: list[str] = []

    def say(severity: str, message: str) -> None:
        said.append(f"[{severity}] {message}")

    settings = network.Settings(
        workspace_mb=workspace_mb, dla=spec.dla, timing_cache=timing_cache, detailed=True
    )
    try:
        log = network.logger(tensorrt, say)
        model = (source / spec.onnx_file).read_bytes()
        built = network.build(tensorrt, log, model, settings)
    finally:
        if log_file is not None:
            files.write_text(log_file, "\n".join(said) + "\n")
    if timing_cache is not None and built.timing_cache:
        files.write_bytes(timing_cache, built.timing_cache)
    engine_key = key.EngineKey(machine=machine, onnx_sha256=spec.onnx_sha256, dla=spec.dla)
    with files.output_folder(artifact) as folder:
        files.write_bytes(folder / FILE, built.engine)
        files.write_json(folder / key.FILE, engine_key.model_dump(mode="json"))
        described = describe(contract, folder, engine_key)
        parity = compare(source, contract, folder, described, trial, min_sqnr_db)
        proved = contracts.prove(described, parity)
        contracts.write(proved, folder)
    return proved


def describe(source: Description, folder: Path, engine_key: key.EngineKey) -> Description:
    """The contract of the engine in `folder`, of the ONNX artifact with the contract `source`."""
    values: Mapping[str, Any] = {
        **{name: getattr(source, name) for name in Description.model_fields},
        "format": "engine",
        "target": str(engine_key.machine) + (", DLA" if engine_key.dla else ""),
        "files": contracts.describe_files(folder),
        "tools": {"tensorrt": engine_key.machine.tensorrt, **source.tools},
    }
    return Description(**values)


def compare(
    source: Path,
    contract: Description,
    folder: Path,
    described: Description,
    trial: Trial,
    min_sqnr_db: float,
) -> Parity:
    """The engine in `folder` against ONNX Runtime on its ONNX file, on the images of `trial`.

    `agreement` is the share of images with the same label, or with objects of the same labels. What
    the engine costs in accuracy takes labelled images and is not said.
    """
    images = trial.images
    reference = runtimes.engine(source, contract).load(source, contract, 1, ["cpu"])
    expected = runtimes.predict(reference, images)
    session = runtime.load(folder, described, 1, ["cuda"])
    try:
        found = runtimes.predict(session, images)
    finally:
        session.close()
    noise = float(np.sum((found.astype(np.float64) - expected) ** 2))
    power = float(np.sum(expected.astype(np.float64) ** 2))
    sqnr = None if noise == 0 else round(10 * float(np.log10(max(power, 1e-30) / noise)), 3)
    if not np.isfinite(found).all() or (sqnr is not None and not sqnr >= min_sqnr_db):
        raise ParityError(
            f"{folder}: the engine is {sqnr} dB from ONNX Runtime on the same ONNX file, below "
            f"{min_sqnr_db:g}; FP16 overflows where activations are large: build the FP32 or INT8 "
            "variant, or see the tactics log"
        )
    norm = float(np.linalg.norm(found) * np.linalg.norm(expected))
    return Parity(
        against=f"{source} by {reference.engine}, {trial.origin},",
        images=len(images),
        max_abs_diff=float(np.abs(found - expected).max()),
        sqnr_db=sqnr,
        cosine=round(float(np.vdot(found, expected)) / norm, 8) if norm else 0.0,
        agreement=_agreement(found, expected, contract),
        metric_drop=None,
        tolerance={"min_sqnr_db": min_sqnr_db},
    )


def _agreement(found: Float32Array, expected: Float32Array, contract: Description) -> float:
    same = [
        _answer(own, contract) == _answer(other, contract)
        for own, other in zip(found, expected, strict=True)
    ]
    return sum(same) / len(same)


def _answer(output: Float32Array, contract: Description) -> list[str]:
    if contract.task == "detect":
        size = contract.input.preprocess
        found = objects(output, contract, size.height, size.width)
        return sorted(contract.labels[number] for number in found.classes)
    return [entry.label for entry in top_k(output[None], contract.labels, 1)[0]]


def _require_version(spec: BuildSpec, version: str) -> None:
    if operators.parse(version) < operators.parse(spec.min_tensorrt):
        raise ExportError(
            f"TensorRT {version} is here, {spec.min_tensorrt} or newer is needed (strongly typed "
            "networks with Q/DQ); JetPack 6.1 and newer have it"
        )
