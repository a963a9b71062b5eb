"""A profile, or several in turns, each in a fresh process: plain and profiled rounds by turns."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from edgesmith import contract as contracts
from edgesmith import files
from edgesmith.bench.frame import camera_frame
from edgesmith.bench.measure import Loadable, Process, Settings
from edgesmith.device import fingerprint
from edgesmith.profile import recording, subject
from edgesmith.profile.recording import Recording
from edgesmith.profile.subject import BY, RECORDING, REQUEST, Request
from edgesmith.profile.summary import Subject, Summary, summarise
from edgesmith.profile.words import paragraph

_WARM_UP_SECONDS = 1.0
_ROUNDS = 5


class Target(NamedTuple):
    """What is profiled, and what it is called."""

    request: Request
    subject: Subject


class Profile(NamedTuple):
    """What was recorded, and what it comes to."""

    recording: Recording
    summary: Summary


def artifact(folder: Path) -> Target:
    """The target of an artifact's folder, intact and of a format that has a profiler.

    Raises ContractError or RuntimeUnavailableError.
    """
    contract = contracts.verify(folder)
    subject.require(folder, contract)
    return Target(
        Request(target=folder.resolve()),
        Subject(variant=contract.variant, format=contract.format, precision=contract.precision),
    )


def take(targets: Sequence[Target], *, runs: int, threads: int) -> list[Profile]:
    """Profile every target `runs` times, all in turns A B A B …, only one running at any time.

    In each round a target runs as often without the profiler as with it. Raises ContractError or
    RuntimeUnavailableError when one of them cannot be run or profiled.
    """
    frame = camera_frame()
    machine = fingerprint.describe(fingerprint.fingerprint())
    with tempfile.TemporaryDirectory() as work, ExitStack() as stack:
        folders = []
        for number, target in enumerate(targets):
            folder = Path(work) / str(number)
            files.write_text(folder / REQUEST, target.request.model_dump_json())
            folders.append(folder)
        processes = [
            stack.enter_context(Process(Loadable(folder, BY), Settings(threads=threads), frame))
            for folder in folders
        ]
        for process in processes:
            process.ask(do="warm_up", max_seconds=_WARM_UP_SECONDS)
        plain: list[list[float]] = [[] for _ in processes]
        warm = [0] * len(processes)
        for number, process in enumerate(processes):
            # The profiler's first inferences are slow too; they are recorded and left out below.
            warm[number] = len(_ask(process, "profiled", max(3, runs // 10)))
        for count in _rounds(runs):
            for process, samples in zip(processes, plain, strict=True):
                samples.extend(_ask(process, "infer", count))
                _ask(process, "profiled", count)
        profiles = []
        for number, (process, target) in enumerate(zip(processes, targets, strict=True)):
            _ask(process, "write", 1)
            whole = recording.read(folders[number] / RECORDING)
            kept = whole.model_copy(update={"runs": whole.runs[warm[number] :]})
            found = summarise(
                kept, target.subject, threads=threads, machine=machine, plain_ms=plain[number]
            )
            profiles.append(Profile(kept, found.model_copy(update={"words": paragraph(found)})))
        return profiles


def _rounds(runs: int) -> list[int]:
    """`runs` in up to five pieces."""
    rounds = min(_ROUNDS, runs)
    return [runs // rounds + (number < runs % rounds) for number in range(rounds)]


def _ask(process: Process, what: str, count: int) -> list[float]:
    answer = process.ask(
        do="sample", what=what, min_runs=count, min_seconds=0.0, settle_seconds=0.0
    )
    return [float(value) for value in answer["samples_ms"]]
