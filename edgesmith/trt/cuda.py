"""The few calls of the CUDA runtime that an engine needs, through `cuda-python`.

Every call returns its status first; `check` turns it into an error that says what to do.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

try:
    from cuda.bindings import runtime
except ModuleNotFoundError:
    from cuda import cudart as runtime  # cuda-python before 12.8, such as JetPack 6 has

from edgesmith.errors import RuntimeUnavailableError


def check(answer: tuple[Any, ...]) -> Any:
    """What a call gives beside its status; RuntimeUnavailableError where it failed."""
    status, *values = answer
    if int(status) != 0:
        name = runtime.cudaGetErrorString(status)[1]
        text = name.decode() if isinstance(name, bytes) else str(name)
        raise RuntimeUnavailableError(
            f"CUDA error {int(status)}: {text}; see whether the GPU is there and its driver is as "
            "new as the CUDA runtime (`nvidia-smi`, on a Jetson `jetson_release`)"
        )
    if len(values) == 1:
        return values[0]
    return tuple(values) if values else None


def device() -> tuple[str, int]:
    """Name and generation (87 for 8.7) of the first GPU; RuntimeUnavailableError without one."""
    if check(runtime.cudaGetDeviceCount()) < 1:
        raise RuntimeUnavailableError("CUDA finds no GPU here; engines are built and run on one")
    found = check(runtime.cudaGetDeviceProperties(0))
    name = found.name.decode() if isinstance(found.name, bytes) else str(found.name)
    return name.rstrip("\0"), found.major * 10 + found.minor


class Buffer:
    """Page-locked host memory, seen as an array, and as much memory of the device."""

    def __init__(self, shape: list[int], dtype: str) -> None:
        self.bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        self._host = check(runtime.cudaMallocHost(self.bytes))
        self.device: int = check(runtime.cudaMalloc(self.bytes))
        view = (ctypes.c_byte * self.bytes).from_address(int(self._host))
        self.array: npt.NDArray[Any] = np.ctypeslib.as_array(view).view(dtype).reshape(shape)

    def upload(self, stream: Any) -> None:
        """Enqueue the copy to the device."""
        kind = runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        check(runtime.cudaMemcpyAsync(self.device, self._host, self.bytes, kind, stream))

    def download(self, stream: Any) -> None:
        """Enqueue the copy to the host."""
        kind = runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        check(runtime.cudaMemcpyAsync(self._host, self.device, self.bytes, kind, stream))

    def free(self) -> None:
        """Give both memories back; the array must not be used after."""
        check(runtime.cudaFree(self.device))
        check(runtime.cudaFreeHost(self._host))


def stream() -> Any:
    """A stream of its own."""
    return check(runtime.cudaStreamCreate())


def wait(of: Any) -> None:
    """Until all that is enqueued in a stream is done."""
    check(runtime.cudaStreamSynchronize(of))


def begin_capture(of: Any) -> None:
    """Record what is enqueued in a stream instead of running it."""
    mode = runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
    check(runtime.cudaStreamBeginCapture(of, mode))


def end_capture(of: Any) -> Any:
    """The recorded graph, ready to be launched."""
    graph = check(runtime.cudaStreamEndCapture(of))
    try:
        return check(runtime.cudaGraphInstantiate(graph, 0))
    finally:
        check(runtime.cudaGraphDestroy(graph))


def launch(graph: Any, on: Any) -> None:
    """Enqueue a recorded graph in a stream: one call for all of the network's kernels."""
    check(runtime.cudaGraphLaunch(graph, on))


def release(graph: Any | None, of: Any) -> None:
    """Give back a graph and a stream."""
    if graph is not None:
        check(runtime.cudaGraphExecDestroy(graph))
    check(runtime.cudaStreamDestroy(of))
