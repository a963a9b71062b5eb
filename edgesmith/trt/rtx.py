"""`python -m edgesmith.trt.rtx MODEL SM…`: build a model with TensorRT-RTX, without a GPU.

Prints one JSON object: the version, the layers parsed, the size of each engine, warnings, or the
error. Nothing of an engine is kept: an engine for RTX runs on no Jetson. In a process of its own,
for the library is native and may end the process that it is loaded into.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import tensorrt_rtx

from edgesmith.errors import ExportError
from edgesmith.trt import network


def run(model: Path, capabilities: list[int]) -> dict[str, Any]:
    """What became of `model`, built for all `capabilities` at once."""
    warnings: list[str] = []
    errors: list[str] = []

    def say(severity: str, message: str) -> None:
        if severity in {"ERROR", "INTERNAL_ERROR"}:
            errors.append(" ".join(message.split()))
        elif severity == "WARNING" and "CUDA" not in message:
            warnings.append(" ".join(message.split()))

    started = time.perf_counter()
    found: dict[str, Any] = {"version": str(tensorrt_rtx.__version__)}
    try:
        settings = network.Settings(capabilities=capabilities)
        log = network.logger(tensorrt_rtx, say)
        built = network.build(tensorrt_rtx, log, model.read_bytes(), settings)
    except ExportError as error:
        found["error"] = str(error)
        found["log"] = errors
    else:
        found["layers"] = built.layers
        found["engine_bytes"] = len(built.engine)
    return found | {"warnings": warnings, "seconds": round(time.perf_counter() - started, 2)}


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]), [int(number) for number in sys.argv[2:]])))
