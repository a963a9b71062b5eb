"""One group: exports made, then everything run by the same runtime on the same images, in turns."""

from __future__ import annotations

import statistics
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ultralytics.nn.tasks import DetectionModel

from benchmarks.peers.compare import Folders
from benchmarks.peers.detect import artifact, make, outputs, turns
from benchmarks.peers.detect.plan import Export, Group
from benchmarks.peers.detect.record import Difference, GroupResult, Latency, NotMeasured, Row
from benchmarks.peers.detect.turns import Timing
from edgesmith import contract as contracts
from edgesmith.bench import statistics as stats
from edgesmith.bench.measure import Loadable, Settings
from edgesmith.contract import Contract, Description
from edgesmith.data.detect.store import Scenes, load_scenes
from edgesmith.data.index import read_index
from edgesmith.decode.detect import Detections
from edgesmith.errors import EdgesmithError, ModelError
from edgesmith.intervals import Bounds, Interval
from edgesmith.report.detect.assess import decode_all
from edgesmith.report.detect.coco import summarise
from edgesmith.runtimes import session as runtimes
from edgesmith.scoring import detect as matching
from edgesmith.scoring.detect import SCORE_FLOOR, Float64Array, Truth

_SAMPLES = 1000
_SEED = 0


@dataclass(frozen=True)
class Candidate:
    """A network of the group, with its detections on the test split in pixels of its input."""

    name: str
    kind: str
    setting: str
    head: str
    network: Loadable
    description: Description
    detections: list[Detections]
    engine: str


def compare(
    group: Group, model: DetectionModel, folders: Folders, settings: Settings
) -> GroupResult:
    """Measure a group; `model` is its baseline as Ultralytics' own.

    What cannot be made or run becomes a `NotMeasured`; our float artifact must be there.
    """
    reference = contracts.verify(folders.artifact(group.baseline, group.format))
    spec = reference.input.preprocess
    data = folders.data(group.dataset)
    split = load_scenes(data, "test", spec)
    found = [_own(group.baseline, group, folders, split, settings)]
    missing: list[NotMeasured] = []

    def attempt(name: str, setting: str, candidate: Callable[[], Candidate]) -> None:
        try:
            found.append(candidate())
        except EdgesmithError as error:
            missing.append(NotMeasured(name=name, setting=setting, why=str(error)))

    for name in group.quantized:
        attempt(name, name, lambda name=name: _own(name, group, folders, split, settings))  # type: ignore[misc]
    for asked in group.exports:

        def exported(asked: Export = asked) -> Candidate:
            folder = folders.work / group.name / asked.name
            made = make.export(asked, model, (spec.height, spec.width), data, folder)
            described = artifact.describe(
                folder, reference, asked.name, group.format, asked.precision, made.versions
            )
            return _export(asked, folder, described, split, settings)

        attempt(asked.name, asked.setting, exported)
    times = turns.measure(
        [candidate.network for candidate in found], settings, busiest(split, data / "test.tar")
    )
    return GroupResult(
        baseline=group.baseline,
        format=group.format,
        engine=found[0].engine,
        input=f"{spec.width}×{spec.height}",
        test_images=len(split),
        calibration_images=read_index(data).counts["calibration"],
        rows=list(rows(found, split, times)),
        not_measured=missing,
    )


def busiest(split: Scenes, archive: Path) -> bytes:
    """The encoded test image with the most objects, the first of equal ones.

    The image of the end-to-end figure: where nothing is to be found, suppression costs nothing.
    """
    name = split.names[int(np.argmax([len(classes) for classes in split.classes]))]
    with tarfile.open(archive) as tar:
        member = tar.extractfile(name)
        assert member is not None  # noqa: S101 - `split` was read from this archive
        return member.read()


def rows(candidates: Sequence[Candidate], split: Scenes, times: Sequence[Timing]) -> Iterator[Row]:
    """Rows in the order of the candidates, the first of which is our float network."""
    truth = [Truth(*pair) for pair in zip(split.boxes, split.classes, strict=True)]
    places = {candidate.name: number for number, candidate in enumerate(candidates)}
    sampled = [_Sampled(candidate, truth) for candidate in candidates]
    for number, candidate in enumerate(candidates):
        against = _against(candidate, candidates)
        other = None if against is None else places[against]
        described = candidate.description
        own = sampled[number]
        float_one = _float_of(candidate, candidates)
        yield Row.model_validate(
            {
                "name": candidate.name,
                "kind": candidate.kind,
                "setting": candidate.setting,
                "precision": described.precision,
                "head": candidate.head,
                "against": against,
                "map50_95": round(own.value, 6),
                "map50_95_ci95": Bounds.of(_interval(own.samples), 6),
                "map50": round(own.map50, 6),
                "difference": None if other is None else own.less(sampled[other]),
                "loss": None if float_one is None else own.less(sampled[places[float_one]]),
                "size_bytes": sum(file.size_bytes for file in described.files.values()),
                "versions": described.tools,
                **{
                    call: _latency(times[number], None if other is None else times[other], call)
                    for call in turns.CALLS
                },
            }
        )


def _against(candidate: Candidate, candidates: Sequence[Candidate]) -> str | None:
    """What a candidate is compared with; see `Row`. Without ours of the precision, our float."""
    if candidate is candidates[0]:
        return None
    if candidate.kind == "ours":
        return candidates[0].name
    alike = [
        other.name
        for other in candidates
        if other.kind == "ours"
        and (other.description.precision == "fp32") == (candidate.description.precision == "fp32")
    ]
    return (alike or [candidates[0].name])[0]


def _float_of(candidate: Candidate, candidates: Sequence[Candidate]) -> str | None:
    """The float network that an integer one was made of: same maker, same head."""
    if candidate.description.precision == "fp32":
        return None
    alike = [
        other.name
        for other in candidates
        if other.description.precision == "fp32"
        and (other.kind, other.head) == (candidate.kind, candidate.head)
    ]
    return alike[0] if alike else None


class _Sampled:
    """Average precision on the images, and on the same resampled sets of them for everyone."""

    def __init__(self, candidate: Candidate, truth: Sequence[Truth]) -> None:
        labels = candidate.description.labels
        summary = summarise(candidate.detections, truth, labels)
        if summary.map50_95 is None or summary.map50 is None:
            raise ModelError(f"{candidate.name}: the test images hold no object; add labelled ones")
        self.value, self.map50 = summary.map50_95, summary.map50
        matches = matching.match(candidate.detections, truth, len(labels))
        weights = matching.resample(len(truth), _SAMPLES, _SEED)
        self.samples: Float64Array = matching.average_precision(matches, weights).mean(axis=1)

    def less(self, other: _Sampled) -> Difference:
        """Paired: both drew the same images."""
        return Difference(
            value=round(self.value - other.value, 6),
            ci95=Bounds.of(_interval(self.samples - other.samples), 6),
        )


def _interval(samples: Float64Array) -> Interval:
    """The middle 95 % of the samples, but for those that drew no object."""
    low, high = np.nanpercentile(samples, [2.5, 97.5])
    return Interval(float(low), float(high))


def _latency(own: Timing, other: Timing | None, call: str) -> Latency:
    samples = own.all_ms(call)
    ratio, interval = (None, None) if other is None else own.ratio(other, call)
    return Latency(
        p50_ms=round(statistics.median(samples), 4),
        ratio=None if ratio is None else round(ratio, 4),
        ratio_ci95=None if interval is None else Bounds.of(interval),
        runs=len(samples),
        steady=own.steady,
        noisy=stats.halves_differ(samples),
    )


def _own(name: str, group: Group, folders: Folders, split: Scenes, settings: Settings) -> Candidate:
    folder = folders.artifact(name, group.format)
    session = runtimes.load(folder, settings.threads, settings.providers)
    contract = session.contract
    found = decode_all(contract, runtimes.predict(session, split.images))
    return Candidate(
        name=name,
        kind="ours",
        setting=name,
        head=_head(contract),
        network=Loadable(folder),
        description=contract,
        detections=found,
        engine=session.engine,
    )


def _export(
    asked: Export, folder: Path, described: Description, split: Scenes, settings: Settings
) -> Candidate:
    session = artifact.load(folder, settings.threads, settings.providers)
    assert described.boxes is not None  # noqa: S101 - `_own` decoded the reference by them
    rule = outputs.validating(described.boxes, SCORE_FLOOR)
    values = runtimes.predict(session, split.images)
    shape = described.outputs[0].shape[1:]
    single = outputs.is_single(shape, len(described.labels))
    return Candidate(
        name=asked.name,
        kind="peer",
        setting=asked.setting,
        head="one-to-one" if single else "one-to-many",
        network=Loadable(folder, "benchmarks.peers.detect.timed"),
        description=described,
        detections=[outputs.detections(value, described, rule) for value in values],
        engine=session.engine,
    )


def _head(contract: Description | Contract) -> str:
    if contract.boxes is None:
        raise ModelError(f"artifacts/{contract.variant}/{contract.format}: no `boxes`; export it")
    return contract.boxes.head
