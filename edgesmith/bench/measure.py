"""Latency of an artifact, alone or in one interleaved run with what it is compared with.

MLPerf's rules in small: a fresh process per network, warm-up until steady, a minimum of runs *and*
of time. Clocks drift and neighbours come and go, so a ratio of two figures measured minutes apart
says little; here artifact and baseline take turns, A B A B …, only one running at any time, and
each round gives one ratio.
"""

from __future__ import annotations

import base64
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from edgesmith import contract as contracts
from edgesmith import errors
from edgesmith.bench import statistics as stats
from edgesmith.bench.frame import camera_frame
from edgesmith.bench.record import Bench, EndToEndLatency, ModelLatency
from edgesmith.errors import EdgesmithError, RuntimeUnavailableError
from edgesmith.intervals import Bounds, Interval

# The first runs of a round find the caches full of the other process's data, and its threads spin
# for about 30 ms after its last run.
_SETTLE_SECONDS = 0.05

# A command that takes longer hangs: the slowest sensible cell (minutes of warm-up on a small
# board) is far below.
_PATIENCE_SECONDS = 900.0


class Settings(NamedTuple):
    """How to run and how long to measure; the meaning of `params.yaml: runtime` and `bench`."""

    threads: int = 1
    providers: tuple[str, ...] = ("cpu",)
    rounds: int = 5
    min_runs: int = 20
    min_seconds: float = 0.3
    max_warmup_seconds: float = 2.0


class Loadable(NamedTuple):
    """A folder with a network, and the module that loads it: a `worker.Loader`.

    `providers` take the place of those in `Settings` where not every network has the same.
    """

    folder: Path
    by: str = "edgesmith.bench.artifact"
    providers: tuple[str, ...] = ()


class Process:
    """A worker process with one network loaded; a context manager."""

    def __init__(self, network: Loadable, settings: Settings, frame: bytes) -> None:
        """Start `python -m edgesmith.bench.worker` and load the network in it."""
        self._folder = network.folder
        # A file, for a pipe that nobody reads while the worker runs would stop it when full.
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "edgesmith.bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._messages,
        )
        try:
            self.loaded = self.ask(
                do="load",
                by=network.by,
                folder=str(network.folder),
                threads=settings.threads,
                providers=list(network.providers or settings.providers),
                frame=base64.b64encode(frame).decode(),
            )
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def ask(self, **command: Any) -> dict[str, Any]:
        """The worker's answer to one command; the EdgesmithError that it met; or why it died."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the worker has no pipes")
        watch = threading.Timer(_PATIENCE_SECONDS, self._process.kill)
        watch.start()
        try:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = b""
        finally:
            watch.cancel()
        if not line:
            raise RuntimeUnavailableError(self._cause_of_death())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            kind = getattr(errors, answer["error"], EdgesmithError)
            raise kind(answer["message"])
        return answer

    def close(self) -> None:
        """End the process and wait for it."""
        self._process.kill()
        self._process.communicate()
        self._messages.close()

    def _cause_of_death(self) -> str:
        status = self._process.wait()
        self._messages.seek(0)
        lines = self._messages.read().decode(errors="replace").strip().splitlines()
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
        last = f": {lines[-1]}" if lines else ""
        return f"{self._folder}: the process that measured it ended with {how}{last}"


def interleave(turns: Sequence[Callable[[], list[float]]], rounds: int) -> list[list[list[float]]]:
    """Samples of each turn for each round, taken in the order A B A B …; indexed [turn][round]."""
    taken: list[list[list[float]]] = [[] for _ in turns]
    for _ in range(rounds):
        for samples, turn in zip(taken, turns, strict=True):
            samples.append(turn())
    return taken


class Turns(NamedTuple):
    """One interleaved run; every list is in the order of the networks."""

    loaded: list[dict[str, Any]]
    warm: list[dict[str, Any]]
    samples_ms: list[list[list[float]]]
    rss_mb: list[float]
    end_to_end_ms: list[float]

    def all_ms(self, network: int) -> list[float]:
        """The samples of one network over all rounds, in order."""
        return [value for turn in self.samples_ms[network] for value in turn]

    def speedup(self) -> tuple[float, Interval]:
        """How many times faster the first network is than the second; 1 if it ran alone."""
        if len(self.samples_ms) == 1:
            return 1.0, Interval(1.0, 1.0)
        return stats.ratio_interval(
            [
                statistics.median(theirs) / statistics.median(ours)
                for ours, theirs in zip(*self.samples_ms, strict=True)
            ]
        )


def take_turns(
    networks: Sequence[Loadable], settings: Settings, frame: bytes | None = None
) -> Turns:
    """Measure networks in turns, each in a process of its own that stays alive throughout.

    `frame` is the encoded image of the end-to-end figure (default: `camera_frame()`), which is
    taken of the first network alone and is empty if that does not have it.
    """
    frame = camera_frame() if frame is None else frame
    with ExitStack() as stack:
        processes = [stack.enter_context(Process(network, settings, frame)) for network in networks]
        warm = [
            process.ask(do="warm_up", max_seconds=settings.max_warmup_seconds)
            for process in processes
        ]
        samples = interleave(
            [_turn(process, "infer", settings) for process in processes], settings.rounds
        )
        return Turns(
            loaded=[process.loaded for process in processes],
            warm=warm,
            samples_ms=samples,
            end_to_end_ms=_end_to_end(processes[0], settings),
            rss_mb=[float(process.ask(do="finish")["rss_mb"]) for process in processes],
        )


def measure_pair(
    artifact: Path,
    baseline: Path,
    settings: Settings,
    *,
    device: str,
    fingerprint: str,
    frame: bytes | None = None,
) -> Bench:
    """Latency of `artifact` and its speed-up over `baseline`, from one interleaved run.

    An artifact that is its own baseline is measured once, with a ratio of 1. `frame` is an encoded
    image for the end-to-end figure (default: `camera_frame()`). Raises ContractError or
    RuntimeUnavailableError when one of the two cannot be run.
    """
    contract = contracts.read(artifact)
    reference = contracts.read(baseline)
    alone = artifact.resolve() == baseline.resolve()
    turns = take_turns(
        [Loadable(path) for path in ([artifact] if alone else [artifact, baseline])],
        settings,
        frame,
    )
    samples = turns.all_ms(0)
    latency = stats.latency(samples)
    speedup, interval = turns.speedup()
    loaded = turns.loaded[0]
    return Bench(
        device=device,
        fingerprint=fingerprint,
        variant=contract.variant,
        format=contract.format,
        precision=contract.precision,
        runtime=loaded["engine"],
        providers=" ".join(loaded["providers"]),
        threads=settings.threads,
        latency_ms=ModelLatency.of(latency),
        latency_ms_ci95=Bounds.of(stats.rounds_median_interval(turns.samples_ms[0])),
        end_to_end_ms=EndToEndLatency.of(stats.latency(turns.end_to_end_ms)),
        fps=round(1000 / latency.mean, 2),
        rss_mb=round(turns.rss_mb[0], 1),
        load_ms=round(loaded["load_ms"], 2),
        first_ms=round(loaded["first_ms"], 3),
        baseline=reference.variant,
        speedup_vs_baseline=round(speedup, 4),
        speedup_ci95=Bounds.of(interval),
        runs=len(samples),
        warmup_runs=turns.warm[0]["runs"],
        rounds=settings.rounds,
        steady=all(answer["steady"] for answer in turns.warm),
        noisy=stats.is_noisy(samples),
    )


def _end_to_end(process: Process, settings: Settings) -> list[float]:
    has_it = "end_to_end" in process.loaded["calls"]
    return _turn(process, "end_to_end", settings)() if has_it else []


def _turn(process: Process, what: str, settings: Settings) -> Callable[[], list[float]]:
    def take() -> list[float]:
        answer = process.ask(
            do="sample",
            what=what,
            min_runs=settings.min_runs,
            min_seconds=settings.min_seconds,
            settle_seconds=_SETTLE_SECONDS,
        )
        return [float(value) for value in answer["samples_ms"]]

    return take
