"""A peer's INT8 file of our float artifact, kept until something that it was made of changes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from benchmarks.peers import environments
from benchmarks.peers.artifact import SUFFIX
from benchmarks.peers.plan import Peer
from edgesmith import contract as contracts
from edgesmith import files
from edgesmith.contract import Contract
from edgesmith.data.classify.store import load_split
from edgesmith.errors import ContractError, ExportError
from edgesmith.runtimes.tensors import encode, network_input

ROOT = Path(__file__).parents[2]
_PATIENCE_SECONDS = 1800


class Made(BaseModel):
    """`made.json` beside a peer's file: from what it was made, by what, and how long that took.

    `seconds` is the whole process, `call_seconds` the peer's calls in it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    seconds: float
    call_seconds: float
    versions: dict[str, str]


def make(peer: Peer, reference: Path, data: Path, folder: Path) -> Made:
    """Write the peer's file of the float artifact `reference` into `folder`, calibrated on `data`.

    `folder` is left as it is when it holds the file of the same artifact, images, options and
    program. Raises ExportError when the peer fails, RuntimeUnavailableError when it cannot be
    installed.
    """
    contract = contracts.verify(reference)
    python = environments.python(peer.tool.environment)
    key = _key(peer, contract, data)
    record = folder.with_suffix(".json")
    if folder.is_dir() and record.is_file():
        remedy = "remove it and run this command again"
        made = files.read_record(record, Made, ContractError, missing=remedy, damaged=remedy)
        if made.key == key:
            return made
    with tempfile.TemporaryDirectory() as name:
        temporary = Path(name)
        output = temporary / f"model{SUFFIX[contract.format]}"
        request = {
            "model": str(contract.model_file(reference, SUFFIX[contract.format]).resolve()),
            "output": str(output),
            "images": str(_calibration(contract, data, temporary)),
            "input": contract.input.name,
            "options": peer.options,
        }
        (temporary / "request.json").write_text(json.dumps(request))
        start = time.perf_counter()
        _run(peer, python, temporary / "request.json")
        seconds = time.perf_counter() - start
        answer = json.loads((temporary / "answer.json").read_text())
        with files.output_folder(folder) as written:
            shutil.copy(output, written / output.name)
    made = Made(
        key=key,
        seconds=round(seconds, 1),
        call_seconds=answer["seconds"],
        versions=answer["versions"],
    )
    files.write_json(record, made.model_dump())
    return made


def _calibration(contract: Contract, data: Path, folder: Path) -> Path:
    """The calibration split as the network takes it, the same values that our own ranges saw."""
    images = load_split(data, "calibration", contract.input.preprocess).images
    path = folder / "images.npy"
    np.save(path, encode(network_input(images, contract.input), contract.input))
    return path


def _key(peer: Peer, contract: Contract, data: Path) -> str:
    """What the file depends on."""
    tools = Path(__file__).parent / "tools"
    parts = [
        json.dumps(peer.options, sort_keys=True),
        *(file.sha256 for file in contract.files.values()),
        contract.input.model_dump_json(),
        files.sha256(data / "calibration.tar"),
        files.sha256(tools / f"{peer.tool.module}.py"),
        files.sha256(tools / "request.py"),
    ]
    if peer.tool.environment:
        lock = environments.REQUIREMENTS / f"{peer.tool.environment}.txt"
    else:
        lock = ROOT / "requirements.lock"
    return hashlib.sha256("\n".join([*parts, files.sha256(lock)]).encode()).hexdigest()


def _run(peer: Peer, python: Path, request: Path) -> None:
    try:
        done = subprocess.run(
            [str(python), "-m", f"benchmarks.peers.tools.{peer.tool.module}", str(request)],
            cwd=request.parent,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ExportError(
            f"{peer.name}: not done after {_PATIENCE_SECONDS} s; use fewer calibration images"
        ) from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise ExportError(
            f"{peer.name}: {peer.tool.distribution} failed: {lines[-1]}; see its documentation, "
            "or install the versions that its requirements file pins"
        )
