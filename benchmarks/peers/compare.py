"""One group: peers made, then everything run by the same runtime on the same images, in turns."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.peers import artifact, operators, own
from benchmarks.peers.make import Made, make
from benchmarks.peers.plan import Group, Peer
from benchmarks.peers.record import Difference, GroupResult, Latency, NotMeasured, Row
from edgesmith import contract as contracts
from edgesmith.bench import statistics as stats
from edgesmith.bench.measure import Loadable, Settings, Turns, take_turns
from edgesmith.contract import Contract
from edgesmith.data.classify.store import Split, load_split
from edgesmith.errors import EdgesmithError
from edgesmith.formats import parity
from edgesmith.intervals import Bounds
from edgesmith.params import Tolerance
from edgesmith.report.accuracy import paired_difference, sqnr_db, wilson_interval
from edgesmith.runtimes import session as runtimes
from edgesmith.scoring.classify import agreement

Float32Array = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


class Folders(NamedTuple):
    """A built checkout, with artifacts, models and data; and where the peers' files go."""

    checkout: Path
    work: Path

    def artifact(self, variant: str, format_name: str) -> Path:
        """Ours, as `dvc repro` leaves it."""
        return self.checkout / "artifacts" / variant / format_name

    def data(self, dataset: str) -> Path:
        """A stored dataset."""
        return self.checkout / "data" / dataset


@dataclass(frozen=True)
class Candidate:
    """A network of the group with its logits (N, classes) on the test split."""

    name: str
    kind: str
    tool: str
    setting: str
    default: bool
    folder: Path
    logits: Float32Array
    engine: str
    versions: dict[str, str]
    seconds: float | None


def compare(
    group: Group, folders: Folders, settings: Settings, tolerance: Tolerance
) -> GroupResult:
    """Measure a group. A peer that fails becomes a `NotMeasured`; our own artifacts must be there.

    `tolerance` is written into the contracts of peers' artifacts beside what was measured; it
    refuses nothing.
    """
    reference = folders.artifact(group.baseline, group.format)
    contract = contracts.verify(reference)
    split = load_split(folders.data(group.dataset), "test", contract.input.preprocess)
    candidates = [_own(group, name, folders, split, settings) for name in group.ours]
    fp32 = _own(group, group.baseline, folders, split, settings)
    missing = []
    for peer in group.peers:
        try:
            made = make(
                peer,
                reference,
                folders.data(group.dataset),
                folder := folders.work / group.name / peer.name,
            )
            candidates.append(_peer(peer, made, folder, contract, fp32, split, settings, tolerance))
        except EdgesmithError as error:
            missing.append(
                NotMeasured(
                    name=peer.name, tool=peer.tool.name, setting=peer.setting, why=str(error)
                )
            )
    candidates.append(fp32)
    turns = take_turns([Loadable(candidate.folder) for candidate in candidates], settings)
    return GroupResult(
        baseline=group.baseline,
        format=group.format,
        ours=group.ours[0],
        engine=fp32.engine,
        rows=list(rows(candidates, split.labels, turns)),
        not_measured=missing,
    )


def rows(candidates: list[Candidate], labels: Labels, turns: Turns | None) -> Iterator[Row]:
    """The rows of candidates in their order: ours first, the float network last."""
    ours, fp32 = candidates[0], candidates[-1]
    for number, candidate in enumerate(candidates):
        right = candidate.logits.argmax(axis=1) == labels
        contract = contracts.read(candidate.folder)
        integer = candidate is not fp32
        yield Row.model_validate(
            {
                "name": candidate.name,
                "kind": candidate.kind,
                "tool": candidate.tool,
                "setting": candidate.setting,
                "default": candidate.default,
                "top1": round(float(right.mean()), 6),
                "top1_ci95": Bounds.of(wilson_interval(int(right.sum()), len(right)), 6),
                "vs_fp32": difference(candidate, fp32, labels) if integer else None,
                "vs_ours": difference(candidate, ours, labels) if candidate is not ours else None,
                "sqnr_db": round(sqnr_db(candidate.logits, fp32.logits), 2) if integer else None,
                "agreement_vs_fp32": round(agreement(candidate.logits, fp32.logits), 6)
                if integer
                else None,
                "size_bytes": sum(file.size_bytes for file in contract.files.values()),
                "seconds": candidate.seconds,
                "versions": candidate.versions,
                "operators": operators.executed(candidate.folder, contract),
                "latency": latency(turns, number) if turns else None,
            }
        )


def difference(candidate: Candidate, other: Candidate, labels: Labels) -> Difference:
    """Paired over the images, for both networks saw the same in the same order."""
    value, interval = paired_difference(
        candidate.logits.argmax(axis=1) == labels, other.logits.argmax(axis=1) == labels
    )
    return Difference(value=round(value, 6), ci95=Bounds.of(interval, 6))


def latency(turns: Turns, number: int) -> Latency:
    """Of one network of the run; above 1 is slower than the first, which is ours."""
    samples = turns.all_ms(number)
    ratio, interval = stats.ratio_interval(
        [
            statistics.median(theirs) / statistics.median(ours)
            for ours, theirs in zip(turns.samples_ms[0], turns.samples_ms[number], strict=True)
        ]
    )
    return Latency(
        p50_ms=round(statistics.median(samples), 4),
        vs_ours=round(ratio, 4),
        vs_ours_ci95=Bounds.of(interval),
        runs=len(samples),
        warmup_runs=turns.warm[number]["runs"],
        steady=turns.warm[number]["steady"],
        noisy=stats.halves_differ(samples),
    )


def _own(group: Group, name: str, folders: Folders, split: Split, settings: Settings) -> Candidate:
    folder = folders.artifact(name, group.format)
    session = runtimes.load(folder, settings.threads, settings.providers)
    kind = "fp32" if name == group.baseline else "ours"
    taken = None
    if name in group.calibrated:
        taken = own.seconds(
            name, group.baseline, group.dataset, group.format, folders.checkout, folders.work
        )
    return Candidate(
        name=name,
        kind=kind,
        tool="edgesmith",
        setting=session.contract.precision,
        default=False,
        folder=folder,
        logits=runtimes.predict(session, split.images),
        engine=session.engine,
        versions=session.contract.tools,
        seconds=taken,
    )


def _peer(
    peer: Peer,
    made: Made,
    folder: Path,
    reference: Contract,
    fp32: Candidate,
    split: Split,
    settings: Settings,
    tolerance: Tolerance,
) -> Candidate:
    described = artifact.describe(folder, reference, peer.name, made.versions)
    engine = runtimes.engine(folder, described)
    session = engine.load(folder, described, settings.threads, settings.providers)
    logits = runtimes.predict(session, split.images)
    against = str(fp32.folder)
    measured = parity.measure(
        logits, fp32.logits, split, described.task, described.boxes, against, tolerance
    )
    contracts.write(contracts.prove(described, measured), folder)
    return Candidate(
        name=peer.name,
        kind="peer",
        tool=peer.tool.name,
        setting=peer.setting,
        default=peer.default,
        folder=folder,
        logits=logits,
        engine=session.engine,
        versions=made.versions,
        seconds=made.seconds,
    )
