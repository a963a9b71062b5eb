"""Compile a .tflite file by `edgetpu_compiler`, where it is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from edgesmith.edgetpu import log
from edgesmith.errors import ExportError, RuntimeUnavailableError

_LIMIT_S = 900


def find() -> str:
    """Where the compiler is; RuntimeUnavailableError says how to get it."""
    found = shutil.which("edgetpu_compiler")
    if found is None:
        raise RuntimeUnavailableError(
            "edgetpu_compiler is not on the PATH; it is Google's, for x86-64 Debian and Ubuntu: "
            "coral.ai/docs/edgetpu/compiler names the package source of edgetpu-compiler"
        )
    return found


def compile_model(model: Path, folder: Path) -> log.Compiled:
    """Compile `model` into `folder` as `<name>_edgetpu.tflite`; ExportError where it fails."""
    command = [find(), "-s", "-o", str(folder), str(model)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    compiled = log.parse(done.stdout + done.stderr)
    written = folder / f"{model.stem}_edgetpu.tflite"
    if done.returncode != 0 or not written.is_file():
        raise ExportError(f"edgetpu_compiler ended with status {done.returncode} and no {written}")
    return compiled
