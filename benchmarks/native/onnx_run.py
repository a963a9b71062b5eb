"""ONNX Runtime, bare: `InferenceSession.run` on one prepared array."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import onnxruntime

from benchmarks.native.prepared import Loop, tensor


def session(folder: Path, name: str, threads: int) -> onnxruntime.InferenceSession:
    """The network with the options of our runtime that bear on its speed, and no others."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if threads > 1 else "0")
    return onnxruntime.InferenceSession(
        str(folder / name), options, providers=["CPUExecutionProvider"]
    )


def load(folder: Path, threads: int, providers: Sequence[str], frame: bytes) -> Loop:
    """The loop over `run`."""
    contract, batch = tensor(folder, frame)
    start = time.perf_counter()
    net = session(folder, contract.model_file(folder, ".onnx").name, threads)
    load_ms = (time.perf_counter() - start) * 1e3
    feed = {contract.input.name: batch}
    engine = f"onnxruntime {onnxruntime.__version__}"
    return Loop(engine, ("cpu",), load_ms, {"infer": lambda: net.run(None, feed)})
