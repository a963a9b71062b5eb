"""`libLiteRt.so` of the ai-edge-litert package: as much of its C interface as a profile takes.

The Python package offers no profiler; the library that it ships does. Handles and structures follow
its headers (litert/c/litert_profiler.h, litert_profiler_event.h, litert_layout.h), which promise no
stable layout: other versions than those in `KNOWN` are refused.
"""

from __future__ import annotations

import ctypes
import importlib.util
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgesmith.errors import RuntimeUnavailableError
from edgesmith.runtimes.tensors import Array

KNOWN = ("2.3",)
_CPU = 1
_WRITE = 1
# tflite::Profiler::EventType: an operator of the graph, one inside a delegate.
_OPERATOR, _INSIDE, _PROFILED_INSIDE = 2, 4, 8
_Handle = ctypes.c_void_p


class Event(NamedTuple):
    """One event: its name, how long it took, and whether it is an operator's execution."""

    tag: str
    elapsed_us: float
    operator: bool


class _Memory(ctypes.Structure):
    _fields_ = [("peak", ctypes.c_int64), ("total", ctypes.c_int64), ("used", ctypes.c_int64)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("tag", ctypes.c_char_p),
        ("kind", ctypes.c_int),
        ("start_us", ctypes.c_uint64),
        ("elapsed_us", ctypes.c_uint64),
        ("memory_before", _Memory),
        ("memory_after", _Memory),
        ("metadata1", ctypes.c_uint64),
        ("metadata2", ctypes.c_uint64),
        ("source", ctypes.c_int),
    ]


class _TensorType(ctypes.Structure):
    _fields_ = [
        ("element", ctypes.c_int),
        ("rank", ctypes.c_uint, 7),
        ("has_strides", ctypes.c_uint, 1),
        ("dimensions", ctypes.c_int32 * 8),
        ("strides", ctypes.c_uint32 * 8),
    ]


class Compiled:
    """A network compiled for the CPU, with buffers for its tensors; one process keeps it."""

    def __init__(self, model: Path, threads: int, batch: Array, *, profile: bool) -> None:
        """Compile `model` for `threads`; `batch`, as the network takes it, becomes its input."""
        self._library = _library()
        self._environment = _Handle()
        self._call("LiteRtCreateEnvironment", 0, None, ctypes.byref(self._environment))
        self._model = _Handle()
        path = str(model).encode()
        self._call("LiteRtCreateModelFromFile", self._environment, path, ctypes.byref(self._model))
        options = _Handle()
        self._call("LiteRtCreateOptions", ctypes.byref(options))
        self._call("LiteRtSetOptionsHardwareAccelerators", options, _CPU)
        self._add(options, "xnnpack", f"num_threads = {threads}\n")
        if profile:
            self._add(options, "runtime_options_string", "enable_profiling = true\n")
        self._compiled = _Handle()
        self._call(
            "LiteRtCreateCompiledModel",
            self._environment,
            self._model,
            options,
            ctypes.byref(self._compiled),
        )
        self._profiler = _Handle()
        if profile:
            self._call(
                "LiteRtCompiledModelGetProfiler",
                self._compiled,
                ctypes.byref(self._profiler),
            )
            if not self._profiler:
                raise RuntimeUnavailableError(f"{model}: this LiteRT gives no profiler")
        signature = _Handle()
        self._call("LiteRtGetModelSignature", self._model, _size(0), ctypes.byref(signature))
        self._inputs = self._buffers(signature, "Input")
        self._outputs = self._buffers(signature, "Output")
        self._fill(self._inputs[0], batch)

    def run(self) -> None:
        """One inference."""
        status = self._library.LiteRtRunCompiledModel(
            self._compiled,
            _size(0),
            _size(len(self._inputs)),
            self._inputs,
            _size(len(self._outputs)),
            self._outputs,
        )
        if status:
            raise RuntimeUnavailableError(f"LiteRtRunCompiledModel ended with status {status}")

    def start(self) -> None:
        """Forget what was recorded, and record."""
        self._call("LiteRtResetProfiler", self._profiler)
        self._call("LiteRtStartProfiler", self._profiler)

    def stop(self) -> None:
        """Record no more."""
        self._call("LiteRtStopProfiler", self._profiler)

    def events(self) -> list[Event]:
        """What was recorded, in order."""
        count = ctypes.c_int()
        self._call("LiteRtGetNumProfilerEvents", self._profiler, ctypes.byref(count))
        found = (_Event * count.value)()
        self._call("LiteRtGetProfilerEvents", self._profiler, count, found)
        return [
            Event(
                (event.tag or b"").decode(errors="replace"),
                float(event.elapsed_us),
                event.kind in {_OPERATOR, _INSIDE, _PROFILED_INSIDE}
                and "delegate" not in (event.tag or b"").decode(errors="replace").lower(),
            )
            for event in found
        ]

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status:
            raise RuntimeUnavailableError(
                f"ai-edge-litert {version('ai-edge-litert')}: {name} ended with status {status}; "
                "its profiler cannot be used here"
            )

    def _add(self, options: _Handle, identifier: str, payload: str) -> None:
        """Options of one part of the library, as TOML; the library frees the text."""
        c = ctypes.CDLL(None)
        c.strdup.restype, c.strdup.argtypes = _Handle, [ctypes.c_char_p]
        opaque = _Handle()
        self._call(
            "LiteRtCreateOpaqueOptions",
            identifier.encode(),
            _Handle(c.strdup(payload.encode())),
            ctypes.cast(c.free, _Handle),
            ctypes.byref(opaque),
        )
        self._call("LiteRtAddOpaqueOptions", options, opaque)

    def _buffers(self, signature: _Handle, kind: str) -> Any:
        """Handles of the buffers of all inputs or outputs, sized as the compiled model asks."""
        count = ctypes.c_size_t()
        self._call(f"LiteRtGetNumSignature{kind}s", signature, ctypes.byref(count))
        found = (_Handle * count.value)()
        for number in range(count.value):
            tensor, wanted, shape = _Handle(), _Handle(), _TensorType()
            self._call(
                f"LiteRtGetSignature{kind}TensorByIndex",
                signature,
                _size(number),
                ctypes.byref(tensor),
            )
            self._call("LiteRtGetRankedTensorType", tensor, ctypes.byref(shape))
            self._call(
                f"LiteRtGetCompiledModel{kind}BufferRequirements",
                self._compiled,
                _size(0),
                _size(number),
                ctypes.byref(wanted),
            )
            buffer = _Handle()
            self._call(
                "LiteRtCreateManagedTensorBufferFromRequirements",
                self._environment,
                ctypes.byref(shape),
                wanted,
                ctypes.byref(buffer),
            )
            found[number] = buffer.value
        return found

    def _fill(self, buffer: int, batch: Array) -> None:
        handle, size, place = _Handle(buffer), ctypes.c_size_t(), _Handle()
        self._call("LiteRtGetTensorBufferSize", handle, ctypes.byref(size))
        values = np.ascontiguousarray(batch)
        if values.nbytes > size.value:
            raise RuntimeUnavailableError(
                f"LiteRT's input buffer holds {size.value} bytes, the image has {values.nbytes}"
            )
        self._call("LiteRtLockTensorBuffer", handle, ctypes.byref(place), _WRITE)
        ctypes.memmove(place, values.ctypes.data, values.nbytes)
        self._call("LiteRtUnlockTensorBuffer", handle)


def _size(value: int) -> ctypes.c_size_t:
    return ctypes.c_size_t(value)


def _library() -> ctypes.CDLL:
    """The package's library; RuntimeUnavailableError where its profiler is not the known one."""
    try:
        found = version("ai-edge-litert")
    except PackageNotFoundError as error:
        raise RuntimeUnavailableError(
            "tflite-runtime has no profiler; pip install edgesmith[device-tflite] brings the "
            "ai-edge-litert that has one"
        ) from error
    spec = importlib.util.find_spec("ai_edge_litert")
    path = Path(spec.origin if spec and spec.origin else "").parent / "libLiteRt.so"
    if ".".join(found.split(".")[:2]) not in KNOWN or not path.is_file():
        raise RuntimeUnavailableError(
            f"no profiler is known in ai-edge-litert {found}; it is read from "
            f"{', '.join(KNOWN)}: pip install 'ai-edge-litert=={KNOWN[-1]}.*'"
        )
    return ctypes.CDLL(str(path))
