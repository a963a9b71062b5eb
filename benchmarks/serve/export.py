"""The files that `yolo predict` takes: Ultralytics' own export of our float weights.

Not our files: an Ultralytics detector decodes its boxes inside the network, ours in numpy after it,
so that integers do not have to hold coordinates; `yolo predict` reads nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.peers.detect.make import checkpoint
from benchmarks.peers.detect.restore import as_ultralytics
from benchmarks.peers.make import ROOT
from edgesmith.errors import ExportError

OFFLINE = {"YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "true"}
_PATIENCE_SECONDS = 600


def export(model: Path, form: str, side: int, folder: Path) -> Path:
    """The export (`onnx` or `ncnn`) of models/<variant> for `side` pixels, kept in `folder`.

    Raises ExportError with its words where Ultralytics fails.
    """
    target = (
        folder / f"{model.name}.onnx" if form == "onnx" else folder / f"{model.name}_ncnn_model"
    )
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.resolve()) as name:
        temporary = Path(name)
        weights = checkpoint(as_ultralytics(model), temporary / f"{model.name}.pt")
        arguments = {"format": form, "imgsz": side, "device": "cpu"}
        request = temporary / "request.json"
        request.write_text(json.dumps({"weights": str(weights), "arguments": arguments}))
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.peers.detect.call", str(request)],
            cwd=temporary,
            env={**os.environ, **OFFLINE, "PYTHONPATH": str(ROOT), "YOLO_CONFIG_DIR": name},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
            raise ExportError(f"Ultralytics' export of {model} to {form}: {last}")
        shutil.move(json.loads((temporary / "answer.json").read_text())["path"], target)
    return target
