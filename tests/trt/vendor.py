"""Stand-ins for `tensorrt` 10.3 and `cuda-python` where neither can run. NO VENDOR CODE RUNS HERE.

Names and arguments are those of the documented Python API (those of the builder are also called on
the real TensorRT-RTX in test_rtx.py). An "engine" is the ONNX file, run by ONNX Runtime; "device
memory" is memory of this process, so that every copy has to be asked for and in the right order.
"""

# ruff: noqa: N802, N815 (names of the vendor)

from __future__ import annotations

import ctypes
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime

VERSION = "10.3.0"


class Cuda(ModuleType):
    """`cuda.bindings.runtime`: each call gives a status and its values."""

    def __init__(self) -> None:
        super().__init__("cuda.bindings.runtime")
        self.cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
        self.cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)
        self.name, self.capability, self.devices = b"Orin", (8, 7), 1
        self.memory: dict[int, Any] = {}
        self.recording: list[Any] | None = None
        self.launches = 0

    def cudaGetErrorString(self, status: int) -> tuple[int, bytes]:
        return 0, b"no CUDA-capable device is detected"

    def cudaGetDeviceCount(self) -> tuple[Any, ...]:
        return (0, self.devices) if self.devices else (100, None)

    def cudaGetDeviceProperties(self, device: int) -> tuple[int, Any]:
        major, minor = self.capability
        return 0, SimpleNamespace(name=self.name, major=major, minor=minor)

    def _allocate(self, size: int) -> tuple[int, int]:
        block = ctypes.create_string_buffer(size)
        self.memory[ctypes.addressof(block)] = block
        return 0, ctypes.addressof(block)

    cudaMallocHost = cudaMalloc = _allocate

    def _free(self, address: int) -> tuple[int]:
        del self.memory[address]
        return (0,)

    cudaFree = cudaFreeHost = _free

    def cudaStreamCreate(self) -> tuple[int, int]:
        return 0, 7

    def cudaStreamDestroy(self, stream: int) -> tuple[int]:
        return (0,)

    cudaStreamSynchronize = cudaGraphDestroy = cudaGraphExecDestroy = cudaStreamDestroy

    def enqueue(self, work: Any) -> None:
        """Run now, or record."""
        if self.recording is None:
            work()
        else:
            self.recording.append(work)

    def cudaMemcpyAsync(self, to: int, of: int, size: int, kind: int, stream: int) -> tuple[int]:
        self.enqueue(lambda: ctypes.memmove(to, of, size))
        return (0,)

    def cudaStreamBeginCapture(self, stream: int, mode: int) -> tuple[int]:
        self.recording = []
        return (0,)

    def cudaStreamEndCapture(self, stream: int) -> tuple[int, Any]:
        graph, self.recording = self.recording, None
        return 0, graph

    def cudaGraphInstantiate(self, graph: Any, flags: int) -> tuple[int, Any]:
        return 0, graph

    def cudaGraphLaunch(self, graph: Any, stream: int) -> tuple[int]:
        self.launches += 1
        for work in graph:
            work()
        return (0,)


class TensorRt(ModuleType):
    """`tensorrt`, as far as `trt.network` and the runtime call it; `calls` records the settings."""

    def __init__(self, cuda: Cuda) -> None:
        super().__init__("tensorrt")
        self.__version__ = VERSION
        self.calls: dict[str, Any] = {}
        self.dla_cores, self.refuses, self.capturable = 0, False, True
        self.NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=1)
        self.MemoryPoolType = SimpleNamespace(WORKSPACE="workspace")
        self.ProfilingVerbosity = SimpleNamespace(DETAILED="detailed")
        self.DeviceType = SimpleNamespace(DLA="dla")
        self.BuilderFlag = SimpleNamespace(GPU_FALLBACK="gpu_fallback")
        vendor, calls = self, self.calls

        class ILogger:
            def log(self, severity: Any, message: str) -> None:
                """Overridden."""

        class Logger(ILogger):
            WARNING = 2

            def __init__(self, level: int) -> None:
                """Of what is printed."""

        class Cache:
            def __init__(self, content: bytes) -> None:
                self.content = content

            def serialize(self) -> bytes:
                return self.content + b"+timed"

        class Config:
            def set_memory_pool_limit(self, pool: str, size: int) -> None:
                calls[pool] = size

            def set_flag(self, flag: str) -> None:
                calls[flag] = True

            def create_timing_cache(self, content: bytes) -> Cache:
                return Cache(content)

            def set_timing_cache(self, cache: Cache, ignore_mismatch: bool) -> bool:
                self.cache = cache
                return True

            def get_timing_cache(self) -> Cache:
                return self.cache

        class Builder:
            def __init__(self, log: ILogger) -> None:
                self.log, self.num_DLA_cores = log, vendor.dla_cores

            def create_network(self, flags: int) -> SimpleNamespace:
                calls["flags"] = flags
                return SimpleNamespace(model=None, num_layers=3)

            def create_builder_config(self) -> Config:
                calls["config"] = Config()
                return calls["config"]

            def build_serialized_network(self, network: Any, config: Config) -> bytes | None:
                self.log.log("Severity.VERBOSE", "Tactic: 0x1 Time: 0.01")
                return None if vendor.refuses else network.model

        class OnnxParser:
            def __init__(self, network: Any, log: ILogger) -> None:
                self.network = network

            def parse(self, model: bytes) -> bool:
                self.network.model = model
                return True

        class Context:
            def __init__(self, session: Any) -> None:
                self.session, self.addresses = session, {}

            def set_tensor_address(self, name: str, address: int) -> bool:
                self.addresses[name] = address
                return True

            def execute_async_v3(self, stream: int) -> bool:
                if cuda.recording is not None and not vendor.capturable:
                    return False
                cuda.enqueue(self._execute)
                return True

            def _execute(self) -> None:
                (source,) = self.session.get_inputs()
                size = int(np.prod(source.shape)) * 4
                content = ctypes.string_at(self.addresses[source.name], size)
                batch = np.frombuffer(content, np.float32).reshape(source.shape)
                names = [output.name for output in self.session.get_outputs()]
                values = self.session.run(names, {source.name: batch})
                for name, value in zip(names, values, strict=True):
                    ctypes.memmove(self.addresses[name], value.tobytes(), value.nbytes)

        class Engine:
            def __init__(self, model: bytes) -> None:
                self.session = onnxruntime.InferenceSession(model)
                self.tensors = [*self.session.get_inputs(), *self.session.get_outputs()]
                self.num_io_tensors = len(self.tensors)

            def get_tensor_name(self, index: int) -> str:
                return self.tensors[index].name

            def get_tensor_dtype(self, name: str) -> str:
                return "DataType.FLOAT"

            def get_tensor_shape(self, name: str) -> tuple[int, ...]:
                return tuple(next(t.shape for t in self.tensors if t.name == name))

            def create_execution_context(self) -> Context:
                return Context(self.session)

        class Runtime:
            def __init__(self, log: ILogger) -> None:
                """With a logger."""

            def deserialize_cuda_engine(self, plan: bytes) -> Engine | None:
                return Engine(plan) if plan[:1] != b"?" else None

        for part in (ILogger, Logger, Builder, OnnxParser, Runtime):
            setattr(self, part.__name__, part)
