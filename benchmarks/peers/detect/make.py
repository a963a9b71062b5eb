"""An export of Ultralytics of our float weights, kept until what it was made of changes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import torch
import yaml
from ultralytics.nn.tasks import DetectionModel

from benchmarks.peers.detect.plan import EXPORT_NAMES, Export
from benchmarks.peers.make import ROOT, Made
from edgesmith import files
from edgesmith.data.index import read_index, verified_tar
from edgesmith.errors import ContractError, ExportError

SUFFIXES = {"onnx": (".onnx",), "tflite": (".tflite",), "ncnn": (".param", ".bin")}
_PATIENCE_SECONDS = 1800
_HERE = Path(__file__).parent


def export(
    asked: Export, model: DetectionModel, size: tuple[int, int], data: Path, folder: Path
) -> Made:
    """Write Ultralytics' export of `model` for `size` (height, width) into `folder`.

    Integers are calibrated on the calibration split of the stored dataset `data`, all of it.
    `folder` is left as it is when it holds the export of the same weights, images and options.
    Raises ExportError, with its words, when it refuses or fails.
    """
    key = _key(asked, model, size, data)
    record = folder.with_suffix(".json")
    if folder.is_dir() and record.is_file():
        remedy = "remove it and run this command again"
        made = files.read_record(record, Made, ContractError, missing=remedy, damaged=remedy)
        if made.key == key:
            return made
    with tempfile.TemporaryDirectory() as name:
        temporary = Path(name)
        arguments = {
            "format": EXPORT_NAMES[asked.format],
            "imgsz": list(size),
            "quantize": asked.quantize,
            "nms": False if asked.single else None,
            "device": "cpu",
        }
        if asked.quantize == 8:
            arguments |= {"data": str(calibration_yaml(data, temporary / "calibration"))}
        weights = checkpoint(model, temporary / "model.pt")
        request = {"weights": str(weights), "arguments": arguments}
        (temporary / "request.json").write_text(json.dumps(request))
        start = time.perf_counter()
        _run(asked, temporary)
        seconds = round(time.perf_counter() - start, 1)
        answer = json.loads((temporary / "answer.json").read_text())
        with files.output_folder(folder) as written:
            _take(asked, Path(answer["path"]), written)
    made = Made(key=key, seconds=seconds, call_seconds=seconds, versions=answer["versions"])
    files.write_json(record, made.model_dump())
    return made


def checkpoint(model: DetectionModel, path: Path) -> Path:
    """Write the model as a .pt that `YOLO(path)` opens."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"model": model, "train_args": {"task": "detect"}}, path)
    return path


def calibration_yaml(data: Path, folder: Path) -> Path:
    """The calibration split of a stored dataset as files, described as Ultralytics wants it."""
    index = read_index(data)
    unpack(verified_tar(data, index, "calibration"), folder)
    described = {
        "path": str(folder),
        "train": "images",
        "val": "images",
        "names": dict(enumerate(index.labels)),
    }
    path = folder / "data.yaml"
    path.write_text(yaml.safe_dump(described))
    return path


def unpack(archive: Path, folder: Path) -> None:
    """Write a stored split as images/ and labels/."""
    with tarfile.open(archive) as tar:
        # Written by `prepare`, with names of its own; Python before 3.11.4 has no filters.
        tar.extractall(folder)  # noqa: S202


def _take(asked: Export, written: Path, folder: Path) -> None:
    """Copy what a runtime reads of the export."""
    found = [written] if written.is_file() else sorted(written.iterdir())
    for suffix in SUFFIXES[asked.format]:
        (source,) = [path for path in found if path.name.endswith(suffix)]
        shutil.copy(source, folder / f"model{suffix}")


def _key(asked: Export, model: DetectionModel, size: tuple[int, int], data: Path) -> str:
    """What the file depends on."""
    digest = hashlib.sha256(f"{asked} {size}".encode())
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + tensor.numpy().tobytes())
    for path in (data / "calibration.tar", ROOT / "requirements.lock"):
        digest.update(files.sha256(path).encode())
    for name in ("call.py", "make.py", "restore.py"):
        digest.update((_HERE / name).read_bytes())
    return digest.hexdigest()


def _run(asked: Export, folder: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.peers.detect.call", str(folder / "request.json")]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "YOLO_CONFIG_DIR": str(folder)},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ExportError(
            f"{asked.setting}: not done after {_PATIENCE_SECONDS} s; use fewer calibration images"
        ) from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise ExportError(f"{asked.setting}: {reason(lines[-1])}")


def reason(line: str) -> str:
    """The last line of a traceback without the exception's name, marks and links."""
    text = line.partition("Error: ")[2] or line
    text = text.removeprefix("ERROR ❌️ ")
    return text.partition(" See http")[0].strip()
