"""A detector of COCO's 80 classes for the parity figure, made by our own chain."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.peers.detect import make, predict
from benchmarks.peers.detect.record import Parity
from benchmarks.peers.detect.restore import as_ultralytics
from benchmarks.peers.make import ROOT
from edgesmith import contract as contracts
from edgesmith import files, overlay
from edgesmith.bench.measure import Settings
from edgesmith.data.index import read_index, verified_tar
from edgesmith.data.sources import prepare_dataset
from edgesmith.errors import ExportError
from edgesmith.params import Params, TrainVariant, load_params

OVERLAY = Path(__file__).parent / "coco128.yaml"
VARIANT = "yolo26n-coco128"
_SPLITS = ("train", "val", "test")
_DONE = "key"


def measure(checkout: Path, work: Path, settings: Settings) -> Parity:
    """Ours beside Ultralytics' `predict` on every image, with weights that are made if need be.

    Raises DataError without the images, ExportError when a stage fails.
    """
    folder = work / "coco128"
    params = _build(checkout, folder)
    artifact = folder / "artifacts" / VARIANT / "onnx"
    contract = contracts.verify(artifact)
    boxes = predict.rule(contract)
    spec = contract.input.preprocess
    size = (spec.height, spec.width)
    model = as_ultralytics(folder / "models" / VARIANT)
    weights = make.checkpoint(model, folder / "weights.pt")
    paths = _images(folder, params.variants[VARIANT].dataset)
    return predict.parity(
        predict.ours(artifact, paths, boxes, settings),
        predict.theirs(weights, paths, boxes, size),
        variant=VARIANT,
        epochs=params.schedules[params.variants[VARIANT].schedule].epochs,
        size=size,
    )


def _build(checkout: Path, folder: Path) -> Params:
    """Data, weights and ONNX artifact below `folder`, by the stages; kept until they change."""
    with tempfile.TemporaryDirectory() as name:
        own = Path(name) / "params.yaml"
        shutil.copy(checkout / "params.yaml", own)
        overlay.apply(OVERLAY, own)
        params, text = load_params(own), own.read_text()
    variant = params.variants[VARIANT]
    assert isinstance(variant, TrainVariant)  # noqa: S101 - the overlay says so
    rule = params.datasets[variant.dataset]
    source = (checkout / rule.path).resolve()
    # How artifacts are timed changes no weights.
    key = _key(params.model_dump_json(exclude={"bench", "runtime"}), source)
    done = folder / _DONE
    if done.is_file() and done.read_text() == key:
        return params
    shutil.rmtree(folder, ignore_errors=True)
    files.write_text(folder / "params.yaml", text)
    prepare_dataset(
        variant.dataset,
        rule.model_copy(update={"path": str(source)}),
        params.seed,
        folder / "data" / variant.dataset,
    )
    for stage, made in (("init", variant.parent), ("train", VARIANT), ("export_onnx", VARIANT)):
        _run(stage, made, folder)
    files.write_text(done, key)
    return params


def _images(folder: Path, dataset: str) -> list[Path]:
    """Every image of the dataset as a file."""
    data = folder / "data" / dataset
    unpacked = folder / "images"
    if not unpacked.is_dir():
        with files.output_folder(unpacked) as temporary:
            for split in _SPLITS:
                make.unpack(verified_tar(data, read_index(data), split), temporary)
    return sorted((unpacked / "images").iterdir())


def _key(params: str, source: Path) -> str:
    digest = hashlib.sha256(params.encode())
    if source.is_file():
        digest.update(files.sha256(source).encode())
    for part in ("data", "tasks", "compress", "formats"):
        for file in sorted((ROOT / "edgesmith" / part).rglob("*.py")):
            digest.update(file.read_bytes())
    digest.update((ROOT / "requirements.lock").read_bytes())
    return digest.hexdigest()


def _run(stage: str, name: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"stages.{stage}", name],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ExportError(f"stages.{stage} {name}: status {done.returncode}; its words are above")
