"""How long our own quantization takes: the stages, run once more in a folder of their own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.peers.make import ROOT, Made
from edgesmith import files
from edgesmith.errors import ContractError, ExportError


def seconds(
    variant: str, parent: str, dataset: str, format_name: str, checkout: Path, work: Path
) -> float:
    """Seconds of `stages.quantize` and the export together, as processes, parity gate included.

    From the stored float weights of `parent` in `checkout` to the proven artifact; remembered
    below `work` until weights, parameters, images or our sources change. Raises ExportError when
    a stage fails.
    """
    record = work / "own" / f"{variant}.{format_name}.json"
    key = _key(parent, dataset, checkout)
    if record.is_file():
        remedy = "remove it and run this command again"
        made = files.read_record(record, Made, ContractError, missing=remedy, damaged=remedy)
        if made.key == key:
            return made.seconds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(checkout / "params.yaml", folder)
        (folder / "data").symlink_to((checkout / "data").resolve())
        (folder / "models").mkdir()
        (folder / "models" / parent).symlink_to((checkout / "models" / parent).resolve())
        start = time.perf_counter()
        for stage in ("quantize", f"export_{format_name}"):
            _run(stage, variant, folder)
        taken = round(time.perf_counter() - start, 1)
    made = Made(key=key, seconds=taken, call_seconds=taken, versions={})
    files.write_json(record, made.model_dump())
    return taken


def _key(parent: str, dataset: str, checkout: Path) -> str:
    sources = [
        file for part in ("edgesmith", "stages") for file in sorted((ROOT / part).rglob("*.py"))
    ]
    found = (checkout / "params.yaml", checkout / "data" / dataset / "dataset.json")
    parts = [
        *(files.sha256(file) for file in (*found, *sources)),
        files.sha256_folder(checkout / "models" / parent),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _run(stage: str, variant: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"stages.{stage}", variant],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise ExportError(f"stages.{stage} {variant}: {lines[-1]}; run `dvc repro` first")
