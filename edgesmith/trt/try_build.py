"""Parse and build an ONNX model by TensorRT-RTX as a lint: no GPU, nothing kept."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgesmith import contract as contracts
from edgesmith.errors import ExportError, RuntimeUnavailableError
from edgesmith.findings import Finding, caution, refused

# What tensorrt-rtx 1.7 builds for without a GPU; Orin's 87 is not among them, 86 is its neighbour.
CAPABILITIES = (75, 80, 86, 89, 120)
PACKAGE = "tensorrt-rtx"
_LIMIT_S = 900


class Trial(NamedTuple):
    """What TensorRT-RTX made of a model. `engine_bytes` is 0 where it refused."""

    version: str
    layers: int
    engine_bytes: int
    seconds: float
    findings: list[Finding]


def is_installed() -> bool:
    """Whether TensorRT-RTX can be imported here, without importing it."""
    return importlib.util.find_spec("tensorrt_rtx") is not None


def trial(model: Path, capabilities: Sequence[int] = (86,)) -> Trial:
    """Build `model` in a process of its own.

    Raises RuntimeUnavailableError where tensorrt-rtx is not installed, ExportError where its
    process ends without an answer.
    """
    if not is_installed():
        raise RuntimeUnavailableError(
            f"the package {PACKAGE} is not installed here (x86-64 Linux and Windows only); "
            "pip install edgesmith[tensorrt-lint]"
        )
    command = [sys.executable, "-m", "edgesmith.trt.rtx", str(model), *map(str, capabilities)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ExportError(
            f"{model}: {PACKAGE} ended with status {done.returncode}: {last}; "
            f"run `{' '.join(command)}` to see all of it"
        )
    answer = json.loads(done.stdout.splitlines()[-1])
    findings = [
        caution("build", text, "see the TensorRT documentation") for text in answer["warnings"]
    ]
    if "error" in answer:
        reason = "; ".join([answer["error"], *answer["log"][-1:]])
        findings.append(refused("build", reason, "lint without --build names the node and remedy"))
    return Trial(
        version=answer["version"],
        layers=answer.get("layers", 0),
        engine_bytes=answer.get("engine_bytes", 0),
        seconds=answer["seconds"],
        findings=findings,
    )


def trial_of_artifact(artifact: Path, capabilities: Sequence[int] = (86,)) -> Trial:
    """`trial` of an ONNX artifact whose files match its contract."""
    return trial(contracts.verify(artifact).model_file(artifact, ".onnx"), capabilities)
