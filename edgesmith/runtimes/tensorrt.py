"""Engines of TensorRT, on the GPU that they were built on: pinned buffers and a CUDA graph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorrt

from edgesmith.contract import Description, Input, Output
from edgesmith.errors import ContractError, RuntimeUnavailableError
from edgesmith.preprocess import Float32Array
from edgesmith.runtimes import tensors
from edgesmith.runtimes.tensors import Array
from edgesmith.trt import cuda, key

ENGINE = f"tensorrt {tensorrt.__version__}"
_DTYPES = {"FLOAT": "float32", "HALF": "float16", "INT8": "int8", "UINT8": "uint8"}


def available_providers() -> tuple[str, ...]:
    """What a session may be asked for here; RuntimeUnavailableError without a GPU."""
    cuda.device()
    return ("cuda",)


def here() -> key.Machine:
    """What engines of this machine are bound to."""
    gpu, sm = cuda.device()
    return key.Machine(gpu=gpu, sm=sm, tensorrt=str(tensorrt.__version__))


class TensorRtSession:
    """One loaded engine; `run` may be called any number of times, from one thread at a time.

    `graph` is None where the engine cannot be captured; it then is enqueued kernel by kernel.
    """

    def __init__(self, contract: Description, engine: Any, threads: int) -> None:
        """Hold `engine`, an `ICudaEngine` whose tensors fit `contract`."""
        self.contract = contract
        self.engine = ENGINE
        # Layers that the DLA does not take run on the GPU: that is where the engine's tensors are.
        self.providers: tuple[str, ...] = ("cuda",)
        self.threads = threads
        self._engine = engine  # the context does not keep it alive
        self._context = engine.create_execution_context()
        if self._context is None:
            raise RuntimeUnavailableError(
                f"{contract.variant}: {ENGINE} has no memory for the engine; close what else uses "
                "the GPU, or build it with a smaller workspace"
            )
        self._stream = cuda.stream()
        self._source = cuda.Buffer(contract.input.shape, contract.input.dtype)
        self._results = [cuda.Buffer(out.shape, out.dtype) for out in contract.outputs]
        specs: list[Input | Output] = [contract.input, *contract.outputs]
        for spec, buffer in zip(specs, [self._source, *self._results], strict=True):
            self._context.set_tensor_address(spec.name, int(buffer.device))
        # The first run sets the engine up, which must not be part of the recording.
        self._enqueue()
        cuda.wait(self._stream)
        self.graph = self._record()

    def run(self, images: Float32Array) -> Float32Array:
        """Logits or predictions, see `Session`, of (N, 3, height, width) float32."""
        return tensors.run(images, self.contract, self.call)

    def close(self) -> None:
        """Give the memory back; the session must not be used after."""
        cuda.release(self.graph, self._stream)
        for buffer in [self._source, *self._results]:
            buffer.free()

    def call(self, batch: Array) -> list[Array]:
        """The network's own outputs, see `Session`, of a batch in its own form."""
        np.copyto(self._source.array, batch)
        if self.graph is None:
            self._enqueue()
        else:
            cuda.launch(self.graph, self._stream)
        cuda.wait(self._stream)
        # Copies: the next run writes into the same memory.
        return [result.array.copy() for result in self._results]

    def _enqueue(self) -> None:
        self._source.upload(self._stream)
        if not self._context.execute_async_v3(int(self._stream)):
            raise RuntimeUnavailableError(
                f"{self.contract.variant}: {ENGINE} did not run the engine; its reason is above"
            )
        for result in self._results:
            result.download(self._stream)

    def _record(self) -> Any | None:
        """The copies and the engine as one graph; None where the engine synchronises inside."""
        cuda.begin_capture(self._stream)
        try:
            self._enqueue()
        except RuntimeUnavailableError:
            cuda.end_capture(self._stream)
            return None
        return cuda.end_capture(self._stream)


def load(
    artifact: Path, contract: Description, threads: int, providers: Sequence[str]
) -> TensorRtSession:
    """A session of an engine artifact whose files were verified.

    Raises ContractError for an engine of another GPU, TensorRT or ONNX (`trt.key`), or unlike its
    contract, and RuntimeUnavailableError where there is no GPU or `providers` has no "cuda".
    """
    if not {"cuda", "tensorrt"} & {name.lower() for name in providers}:
        raise RuntimeUnavailableError(
            f"runtime.providers: {', '.join(providers)}: {ENGINE} executes on cuda alone; "
            "leave the provider out, or name cuda"
        )
    key.require_same(key.read(artifact), here(), artifact)
    path = contract.model_file(artifact, ".engine")
    log = tensorrt.Logger(tensorrt.Logger.WARNING)
    engine = tensorrt.Runtime(log).deserialize_cuda_engine(path.read_bytes())
    if engine is None:
        raise RuntimeUnavailableError(
            f"{path}: {ENGINE} cannot load it; its reason is above: build the engine here again"
        )
    _check_tensors(path, contract, engine)
    return TensorRtSession(contract, engine, threads)


def _check_tensors(path: Path, contract: Description, engine: Any) -> None:
    """Names, dtypes and shapes in the contract must be those of the engine."""
    names = {engine.get_tensor_name(index) for index in range(engine.num_io_tensors)}
    specs: list[Input | Output] = [contract.input, *contract.outputs]
    for spec in specs:
        if spec.name not in names:
            raise ContractError(
                f"{path}: no tensor is named {spec.name!r} as its contract says; it has "
                f"{', '.join(sorted(names))}: build it again"
            )
        kind = str(engine.get_tensor_dtype(spec.name)).rpartition(".")[2]
        shape = list(engine.get_tensor_shape(spec.name))
        if _DTYPES.get(kind, kind) != spec.dtype or shape != spec.shape:
            raise ContractError(
                f"{path}: {spec.name!r} is {_DTYPES.get(kind, kind)} {shape}, its contract says "
                f"{spec.dtype} {spec.shape}: build it again"
            )
