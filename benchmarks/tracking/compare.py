"""Policies on the same films: how good tracks are, and what they cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from benchmarks.tracking import truth
from benchmarks.tracking.watch import Policy, Watched, watch
from edgesmith.film import store
from edgesmith.film.shoot import Script
from edgesmith.serve.model import Model

# Seeds 1 to 6 are those that the tracker's constants were chosen with: these are others.
SEEDS = (11, 12, 13, 14, 15, 16)
POLICIES = (
    Policy(1),
    *(Policy(n) for n in (2, 3, 4, 5, 6)),
    Policy("adaptive"),
    Policy(4, "velocity"),
    Policy(4, "hold"),
)


class Row(BaseModel):
    """A policy on all films: milliseconds of CPU are means over frames."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: str
    carrier: str
    frames: int
    detections: int
    detect_ms: float
    track_ms: float
    idf1: float
    mota: float
    switches: int
    misses: int
    false_positives: int
    signs: int

    @property
    def share(self) -> float:
        """Of frames that the detector ran on."""
        return self.detections / self.frames

    @property
    def cpu_ms(self) -> float:
        """Per frame, of detecting and tracking."""
        return self.detect_ms + self.track_ms


class Comparison(BaseModel):
    """All rows of one artifact, and what they were measured on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    artifact: str
    engine: str
    seeds: list[int]
    seconds: float
    size: list[int]
    rows: list[Row]


def render(folder: Path, script: Script, seeds: Sequence[int], say: Callable[[str], None]) -> None:
    """The films that are not there yet, each in a folder named by its seed."""
    for seed in seeds:
        target = folder / str(seed)
        wanted = Script(**{**vars(script), "seed": seed})
        made = target / "script.txt"
        if made.is_file() and made.read_text() == repr(wanted):
            continue
        say(f"rendering film {seed}: {wanted.frames} frames")
        store.write(target, wanted)
        made.write_text(repr(wanted))


def compare(
    artifact: Path,
    films: Path,
    script: Script,
    seeds: Sequence[int],
    policies: Sequence[Policy],
    say: Callable[[str], None],
) -> Comparison:
    """Every policy on every film, one thread; the engine warms up on the first frames.

    Film by film, all policies one after another: a machine that slows for a minute slows them all.
    """
    model = Model(artifact, 1, (), None)
    watch(model, films / str(seeds[0]) / store.VIDEO, script.fps, policies[0])
    watched: list[list[Watched]] = [[] for _ in policies]
    for seed in seeds:
        for policy, own in zip(policies, watched, strict=True):
            own.append(watch(model, films / str(seed) / store.VIDEO, script.fps, policy))
    truths = [truth.read(films / str(seed) / store.TRACKS) for seed in seeds]
    rows = [_row(policy, own, truths) for policy, own in zip(policies, watched, strict=True)]
    for row in rows:
        say(
            f"{row.policy}: IDF1 {row.idf1:.1f}, MOTA {row.mota:.1f}, {100 * row.share:.0f} % of "
            f"frames, {row.cpu_ms:.2f} ms"
        )
    return Comparison(
        artifact=model.name,
        engine=model.engine,
        seeds=list(seeds),
        seconds=script.seconds,
        size=[script.width, script.height],
        rows=rows,
    )


def _row(
    policy: Policy, watched: Sequence[Watched], truths: Sequence[Mapping[int, Sequence[truth.Sign]]]
) -> Row:
    count = sum(len(film.answers) for film in watched)
    quality = truth.quality(
        [truth.accumulate(signs, film.answers) for signs, film in zip(truths, watched, strict=True)]
    )
    return Row(
        policy=policy.words,
        carrier=policy.carrier,
        frames=count,
        detections=sum(film.detections for film in watched),
        detect_ms=1000 * sum(film.detect_s for film in watched) / count,
        track_ms=1000 * sum(film.track_s for film in watched) / count,
        **quality._asdict(),
    )
