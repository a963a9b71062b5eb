"""One artifact on both machines: inspected, timed and run on the same images."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.aarch64 import compare, outputs
from benchmarks.aarch64.machine import Machine
from edgesmith import contract as contracts
from edgesmith.decode.classify import top_k
from edgesmith.errors import DataError, RuntimeUnavailableError

_SCRIPT = Path(outputs.__file__)
_IMAGES = (".png", ".jpg")


class Trial(NamedTuple):
    """`runs` were timed by `bench` of the emulated machine; their times mean nothing."""

    row: compare.Row
    arm: str
    x86: str
    runs: int


def images(tar: Path, count: int, folder: Path) -> list[Path]:
    """`count` images, evenly spread over a split's tar, written into `folder`."""
    with tarfile.open(tar) as archive:
        members = [member for member in archive if Path(member.name).suffix in _IMAGES]
        if len(members) < count:
            raise DataError(f"{tar}: {len(members)} images, {count} wanted; ask for fewer")
        chosen = members[:: len(members) // count][:count]
        paths = []
        for number, member in enumerate(chosen):
            paths.append(folder / f"{number:04}{Path(member.name).suffix}")
            if content := archive.extractfile(member):
                paths[-1].write_bytes(content.read())
    return paths


def run(machine: Machine, artifact: Path, pictures: list[Path], folder: Path) -> Trial:
    """Every command on the emulated machine, and the comparison.

    RuntimeUnavailableError where one fails, or says something else than the outputs do.
    """
    contract = contracts.verify(artifact)
    said = json.loads(machine.run("-m", "edgesmith", "inspect", str(artifact), "--json"))
    if said != json.loads(contract.model_dump_json()):
        raise RuntimeUnavailableError(f"{artifact}: `inspect` shows another contract on aarch64")
    timed = machine.run("-m", "edgesmith", "bench", str(artifact), "--rounds", "1", "--json")
    names = [str(path) for path in pictures]
    results = {}
    for side in ("arm", "x86"):
        target = folder / f"{contract.variant}.{contract.format}.{side}.npz"
        arguments = [str(_SCRIPT), str(artifact), str(target), *names]
        if side == "arm":
            machine.run(*arguments)
        else:
            _here(arguments)
        results[side] = compare.read(target)
    found = json.loads(machine.run("-m", "edgesmith", "predict", str(artifact), *names, "--json"))
    _check_predictions(artifact, contract, found, results["arm"])
    return Trial(
        compare.compare(contract, results["arm"], results["x86"]),
        results["arm"].engine,
        results["x86"].engine,
        int(json.loads(timed)["runs"]),
    )


def _check_predictions(
    artifact: Path,
    contract: contracts.Contract,
    found: dict[str, list[dict[str, object]]],
    arm: compare.Outputs,
) -> None:
    """The command line must say what the network's outputs on that machine mean."""
    first = [[entry["label"] for entry in entries] for entries in found.values()]
    if contract.task == "classify":
        wanted = [
            [best.label for best in top_k(output[None], contract.labels, 5)[0]]
            for output in arm.outputs
        ]
    else:
        wanted = [
            [contract.labels[int(kind)] for kind in objects.classes]
            for objects in compare.objects(contract, arm)
        ]
    if first != wanted:
        raise RuntimeUnavailableError(f"{artifact}: `predict` says other labels than its outputs")


def _here(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeUnavailableError(f"{' '.join(arguments[:2])}: {done.stderr.strip()[-300:]}")
