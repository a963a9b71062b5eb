"""ONNX Runtime, bare: `run_with_iobinding` between two bound arrays."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import onnxruntime

from benchmarks.native.onnx_run import session
from benchmarks.native.prepared import Loop, tensor


def load(folder: Path, threads: int, providers: Sequence[str], frame: bytes) -> Loop:
    """The loop over `run_with_iobinding`; outputs stay in memory that was bound once."""
    contract, batch = tensor(folder, frame)
    start = time.perf_counter()
    net = session(folder, contract.model_file(folder, ".onnx").name, threads)
    load_ms = (time.perf_counter() - start) * 1e3
    binding = net.io_binding()
    binding.bind_ortvalue_input(
        contract.input.name, onnxruntime.OrtValue.ortvalue_from_numpy(batch)
    )
    for output, found in zip(
        net.get_outputs(), net.run(None, {contract.input.name: batch}), strict=True
    ):
        binding.bind_ortvalue_output(output.name, onnxruntime.OrtValue.ortvalue_from_numpy(found))
    engine = f"onnxruntime {onnxruntime.__version__}"
    return Loop(engine, ("cpu",), load_ms, {"infer": lambda: net.run_with_iobinding(binding)})
