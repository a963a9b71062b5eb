"""Both commands on the same video, in turns: frames per second, memory, CPU."""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from benchmarks.peers.make import ROOT
from benchmarks.serve.export import OFFLINE
from benchmarks.serve.process import Spent, run


class Side(NamedTuple):
    """One of both: its command, what a reader calls its network, that, and frames per detection."""

    command: str
    what: str
    path: Path
    every: str = "1"


class Pair(NamedTuple):
    """Ours and theirs, in one format."""

    form: str
    ours: Side
    theirs: Side


class Run(BaseModel):
    """One run; `fps` from the first frame to the last, `seconds` with start and end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    frames: int
    fps: float
    seconds: float
    cpu_ms: float
    rss_mb: float
    pss_mb: float
    boxes: float


class Answer(BaseModel):
    """All runs of one command."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: str
    command: str
    what: str
    runs: list[Run]

    def median(self, name: str) -> float:
        """Of a figure, over the runs."""
        return statistics.median(float(getattr(one, name)) for one in self.runs)


class Results(BaseModel):
    """What the page is made of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: dict[str, str]
    versions: dict[str, str]
    video: str
    threads: int
    answers: list[Answer]


def compare(
    pairs: Sequence[Pair], video: Path, side: int, threads: int, rounds: int,
    say: Callable[[str], None],
) -> list[Answer]:  # fmt: skip
    """Every command `rounds` times, ours and theirs in turns and each first in half of them."""
    runs: dict[tuple[str, str, str], list[Run]] = {}
    for turn in range(rounds):
        for pair in pairs:
            sides = (pair.ours, pair.theirs) if turn % 2 == 0 else (pair.theirs, pair.ours)
            for one in sides:
                make = _ours if one is pair.ours else _theirs
                made = make(one, video, side, threads)
                say(
                    f"{pair.form}, {one.command} ({one.what}): {made.fps:.1f} FPS, "
                    f"{made.rss_mb:.0f} MB"
                )
                runs.setdefault((pair.form, one.command, one.what), []).append(made)
    return [
        Answer(form=form, command=command, what=what, runs=made)
        for (form, command, what), made in runs.items()
    ]


def _ours(one: Side, video: Path, side: int, threads: int) -> Run:
    """Every frame tracked and written as a JSON line; `side` is in the contract."""
    with tempfile.TemporaryDirectory() as name:
        lines = Path(name) / "seen.jsonl"
        spent = run(
            [
                sys.executable, "-m", "edgesmith", "serve", str(one.path.resolve()),
                "--source", str(video.resolve()), "--fast", "--every-frame", "--every", one.every,
                "--threads", str(threads), "--jsonl", str(lines), "--json",
            ],
            _environment(name),
            Path(name),
        )  # fmt: skip
        entries = [json.loads(line) for line in lines.read_text().splitlines()]
    frames = [entry["frame"] for entry in entries if "frame" in entry]
    captured = [frame["captured_s"] for frame in frames]
    boxes = statistics.fmean(len(frame["objects"]) for frame in frames)
    return _run(captured, boxes, spent)


def _theirs(one: Side, video: Path, side: int, threads: int) -> Run:
    """Nothing drawn, written or printed: less than the command does by default."""
    with tempfile.TemporaryDirectory() as name:
        stamps = Path(name) / "stamps.json"
        spent = run(
            [
                sys.executable, "-m", "benchmarks.serve.theirs", str(threads), str(stamps),
                f"model={one.path.resolve()}", "task=detect", f"source={video.resolve()}",
                f"imgsz={side}", "device=cpu", "save=False", "verbose=False",
            ],
            _environment(name),
            Path(name),
        )  # fmt: skip
        said = json.loads(stamps.read_text())
    return _run(said["seconds"], statistics.fmean(said["boxes"]), spent)


def _environment(folder: str) -> Mapping[str, str]:
    return {
        **os.environ,
        **OFFLINE,
        "PYTHONPATH": str(ROOT),
        "YOLO_CONFIG_DIR": folder,
        "OMP_WAIT_POLICY": "PASSIVE",
    }


def _run(seconds: Sequence[float], boxes: float, spent: Spent) -> Run:
    count = len(seconds)
    return Run(
        frames=count,
        fps=(count - 1) / (seconds[-1] - seconds[0]),
        seconds=spent.seconds,
        cpu_ms=1000 * spent.cpu_s / count,
        rss_mb=spent.rss_mb,
        pss_mb=spent.pss_mb,
        boxes=boxes,
    )
