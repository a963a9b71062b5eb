"""TFLite artifacts through LiteRT's interpreter, on the CPU (XNNPACK)."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from edgesmith.contract import Description, Input, Output
from edgesmith.errors import ContractError, RuntimeUnavailableError
from edgesmith.preprocess import Float32Array
from edgesmith.runtimes import tensors
from edgesmith.runtimes.tensors import Array

try:
    from ai_edge_litert.interpreter import Interpreter

    ENGINE = f"litert {version('ai-edge-litert')}"
except ModuleNotFoundError as _missing:
    try:
        # The same interpreter under its former name, for boards that have no newer package.
        Interpreter = importlib.import_module("tflite_runtime.interpreter").Interpreter
    except ModuleNotFoundError:
        raise _missing from None
    ENGINE = f"tflite-runtime {version('tflite-runtime')}"


def available_providers() -> tuple[str, ...]:
    """What a session may be asked for here, by the names of `runtime.providers`."""
    return ("cpu",)


class LiteRtSession:
    """One loaded network; `run` may be called any number of times, from one thread at a time."""

    providers: tuple[str, ...] = ("cpu",)

    def __init__(self, contract: Description, interpreter: Any, threads: int) -> None:
        """Hold `interpreter`, whose tensors are allocated and fit `contract`."""
        self.contract = contract
        self.engine = ENGINE
        self.threads = threads
        self._interpreter = interpreter
        # Functions that give a view of the tensor's memory. A view is never kept: while one lives,
        # the interpreter refuses to run.
        self._source = interpreter.tensor(interpreter.get_input_details()[0]["index"])
        outputs = {detail["name"]: detail["index"] for detail in interpreter.get_output_details()}
        self._results = [interpreter.tensor(outputs[spec.name]) for spec in contract.outputs]

    def run(self, images: Float32Array) -> Float32Array:
        """Logits or predictions, see `Session`, of (N, 3, height, width) float32."""
        return tensors.run(images, self.contract, self.call)

    def call(self, batch: Array) -> list[Array]:
        """The network's own outputs, see `Session`, of a batch in its own form."""
        np.copyto(self._source(), batch)
        self._interpreter.invoke()
        # Copies: the next run writes into the same memory.
        return [result().copy() for result in self._results]


def load(
    artifact: Path, contract: Description, threads: int, providers: Sequence[str]
) -> LiteRtSession:
    """A session of an artifact whose files were verified.

    `providers` must hold "cpu". Raises RuntimeUnavailableError when LiteRT cannot load the network,
    ContractError for a network unlike its contract.
    """
    if "cpu" not in (name.lower() for name in providers):
        raise RuntimeUnavailableError(
            f"runtime.providers: {', '.join(providers)}: {ENGINE} executes on cpu alone; "
            "add cpu to runtime.providers"
        )
    model = contract.model_file(artifact, ".tflite")
    try:
        interpreter = Interpreter(model_path=str(model), num_threads=threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise RuntimeUnavailableError(
            f"{model}: {ENGINE} cannot load it: {reason}; export it again, or install a newer "
            "ai-edge-litert if it lacks an operator"
        ) from error
    _check_tensors(model, contract, interpreter)
    return LiteRtSession(contract, interpreter, threads)


def _check_tensors(model: Path, contract: Description, interpreter: Any) -> None:
    """Names, dtypes, shapes and quantization in the contract must be those of the network."""
    expected: list[tuple[str, Input | Output, list[dict[str, Any]]]] = [
        ("input", contract.input, interpreter.get_input_details()),
        *[("output", output, interpreter.get_output_details()) for output in contract.outputs],
    ]
    for kind, spec, details in expected:
        found = {detail["name"]: detail for detail in details}
        detail = found.get(spec.name)
        if detail is None:
            raise ContractError(
                f"{model}: no {kind} is named {spec.name!r} as its contract says; "
                f"it has {', '.join(found)}: export it again"
            )
        dtype, shape = np.dtype(detail["dtype"]).name, detail["shape"].tolist()
        if dtype != spec.dtype or shape != spec.shape:
            raise ContractError(
                f"{model}: {kind} {spec.name!r} is {dtype} {shape}, its contract says "
                f"{spec.dtype} {spec.shape}: export it again"
            )
        scale, zero_point = detail["quantization"]
        held = None if scale == 0 else (np.float32(scale), zero_point)
        own = spec.quantization
        if held != (None if own is None else (np.float32(own.scale), own.zero_point)):
            raise ContractError(
                f"{model}: {kind} {spec.name!r} is read with scale {scale} and zero point "
                f"{zero_point}, its contract says {own}: export it again"
            )
