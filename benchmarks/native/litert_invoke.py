"""LiteRT, bare: `Interpreter.invoke` on a tensor that was set once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from ai_edge_litert.interpreter import Interpreter

from benchmarks.native.prepared import Loop, tensor


def load(folder: Path, threads: int, providers: Sequence[str], frame: bytes) -> Loop:
    """The loop over `invoke`, as LiteRT's `benchmark_model` does it; nothing is copied out."""
    contract, batch = tensor(folder, frame)
    start = time.perf_counter()
    path = contract.model_file(folder, ".tflite")
    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    interpreter.allocate_tensors()
    load_ms = (time.perf_counter() - start) * 1e3
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], batch)
    engine = f"litert {version('ai-edge-litert')}"
    return Loop(engine, ("cpu",), load_ms, {"infer": interpreter.invoke})
