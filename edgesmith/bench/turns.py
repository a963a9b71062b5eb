"""Networks measured in turns in one run.

MLPerf's rules in small: a fresh process per network, warm-up until steady, a minimum of runs *and*
of time. Clocks drift and neighbours come and go, so a ratio of two figures measured minutes apart
says little; here the networks take turns, A B A B …, only one running at any time, and each round
gives one ratio.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

from edgesmith.bench import statistics as stats
from edgesmith.bench.early_stopping import fewest_runs
from edgesmith.bench.frame import camera_frame
from edgesmith.bench.process import Loadable, Process, Settings
from edgesmith.device.sensors.conditions import Conditions
from edgesmith.device.sensors.recorder import Recorder
from edgesmith.intervals import Interval

Turn = Callable[[], list[float]]

# The first runs of a round find the caches full of the other process's data, and its threads spin
# for about 30 ms after its last run.
_SETTLE_SECONDS = 0.05
# Before rounds in which the machine throttled are repeated.
COOL_DOWN_SECONDS = 10.0
# Meters average over a second or so: power is that of a stretch of its own, and of doing nothing.
_POWER_SECONDS = 3.0


class Throttling(NamedTuple):
    """Rounds in which the machine slowed itself down.

    `rounds` counts them, `retried` those that were repeated after a pause without throttling: the
    figures are of the repetition, and `replaced_ms` [network][…] keeps the samples it replaced.
    """

    rounds: int = 0
    retried: int = 0
    replaced_ms: Sequence[Sequence[Sequence[float]]] = ()


class Turns(NamedTuple):
    """One interleaved run; every list is in the order of the networks.

    `end_to_end_ms` is of the first network; `end_to_end_all_ms` has an empty list for networks of
    which it was not taken. `conditions` are of the rounds, and of power and energy of each
    network's own stretch; empty without a recorder.
    """

    loaded: list[dict[str, Any]]
    warm: list[dict[str, Any]]
    samples_ms: list[list[list[float]]]
    rss_mb: list[float]
    end_to_end_ms: list[float]
    throttling: Throttling = Throttling()
    conditions: Sequence[Conditions] = ()
    end_to_end_all_ms: Sequence[list[float]] = ()

    def all_ms(self, network: int) -> list[float]:
        """The samples of one network over all rounds, in order."""
        return [value for turn in self.samples_ms[network] for value in turn]

    def speedup(self, network: int = 0, over: int = 1) -> tuple[float, Interval]:
        """How many times faster a network is than another; 1 if the first ran alone."""
        if len(self.samples_ms) == 1 or network == over:
            return 1.0, Interval(1.0, 1.0)
        return stats.ratio_interval(
            [
                statistics.median(theirs) / statistics.median(ours)
                for ours, theirs in zip(
                    self.samples_ms[network], self.samples_ms[over], strict=True
                )
            ]
        )


def interleave(turns: Sequence[Turn], rounds: int) -> list[list[list[float]]]:
    """Samples of each turn for each round, taken in the order A B A B …; indexed [turn][round]."""
    taken: list[list[list[float]]] = [[] for _ in turns]
    for _ in range(rounds):
        for samples, turn in zip(taken, turns, strict=True):
            samples.append(turn())
    return taken


def take_turns(
    networks: Sequence[Loadable],
    settings: Settings,
    frame: bytes | None = None,
    recorder: Recorder | None = None,
    of_all: bool = False,
) -> Turns:
    """Measure networks in turns, each in a process of its own that stays alive throughout.

    `frame` is the encoded image of the end-to-end figure (default: `camera_frame()`), which is
    taken in every round, of the first network alone or `of_all` that have it, as power is.
    `recorder` is running; idle power is measured first where it has a sensor of power.
    """
    frame = camera_frame() if frame is None else frame
    idle_w = recorder.idle_power(_POWER_SECONDS) if recorder else None
    with ExitStack() as stack:
        processes = [stack.enter_context(Process(network, settings, frame)) for network in networks]
        warm = [
            process.ask(do="warm_up", max_seconds=settings.max_warmup_seconds)
            for process in processes
        ]
        whole = [
            number
            for number, process in enumerate(processes)
            if (number == 0 or of_all) and "end_to_end" in process.loaded["calls"]
        ]
        turns = [
            *(_infer(process, settings) for process in processes),
            *(_end_to_end(processes[number], settings) for number in whole),
        ]
        since = recorder.look().seconds if recorder else 0.0
        taken, throttling = _rounds(turns, settings.rounds, recorder)
        conditions: list[Conditions] = []
        if recorder:
            meanwhile = recorder.conditions(since, recorder.look().seconds)
            conditions = [
                _with_power(meanwhile, recorder, process if number == 0 or of_all else None, idle_w)
                for number, process in enumerate(processes)
            ]
        end_to_end: list[list[float]] = [[] for _ in networks]
        for number, own in zip(whole, taken[len(networks) :], strict=True):
            end_to_end[number] = [ms for turn in own for ms in turn]
        return Turns(
            loaded=[process.loaded for process in processes],
            warm=warm,
            samples_ms=taken[: len(networks)],
            end_to_end_ms=end_to_end[0],
            rss_mb=[float(process.ask(do="finish")["rss_mb"]) for process in processes],
            throttling=throttling,
            conditions=conditions,
            end_to_end_all_ms=end_to_end,
        )


def _rounds(
    turns: Sequence[Turn], rounds: int, recorder: Recorder | None
) -> tuple[list[list[list[float]]], Throttling]:
    """All rounds; those that throttled are repeated once, after one pause for all of them."""
    taken: list[list[list[float]]] = [[] for _ in turns]
    slow: list[int] = []
    for number in range(rounds):
        row, throttled = _round(turns, recorder)
        for samples, own in zip(taken, row, strict=True):
            samples.append(own)
        if throttled:
            slow.append(number)
    if not slow:
        return taken, Throttling()
    time.sleep(COOL_DOWN_SECONDS)
    replaced: list[list[list[float]]] = [[] for _ in turns]
    for number in slow:
        row, throttled = _round(turns, recorder)
        if throttled:
            continue
        for samples, own, old in zip(taken, row, replaced, strict=True):
            old.append(samples[number])
            samples[number] = own
    return taken, Throttling(len(slow), len(replaced[0]), replaced)


def _round(turns: Sequence[Turn], recorder: Recorder | None) -> tuple[list[list[float]], bool]:
    """The samples of one turn each, and whether a sensor says that the machine throttled."""
    if recorder is None:
        return [turn() for turn in turns], False
    since = recorder.look().seconds
    row = [turn() for turn in turns]
    until = recorder.look().seconds
    # A sensor tells what happened since it was read last: the reading at `since` is of before.
    readings = [reading for reading in recorder.readings if since < reading.seconds <= until]
    return row, any(reading.throttled for reading in readings)


def _with_power(
    conditions: Conditions, recorder: Recorder, process: Process | None, idle_w: float | None
) -> Conditions:
    """With power and energy of one network running back to back, where there is a sensor."""
    if recorder.sensors.power is None:
        return conditions
    if process is None:
        return conditions.model_copy(update={"power_w": None})
    since = recorder.look().seconds
    frames = len(_sample(process, "infer", 1, _POWER_SECONDS, 0.0, math.inf))
    own = recorder.conditions(since, recorder.look().seconds, frames, idle_w)
    measured = ("power_w", "idle_power_w", "energy_mj_per_frame", "fps_per_watt")
    return conditions.model_copy(update={field: getattr(own, field) for field in measured})


def _infer(process: Process, settings: Settings) -> Turn:
    return lambda: _sample(
        process,
        "infer",
        settings.runs_per_round,
        settings.min_seconds,
        _SETTLE_SECONDS,
        settings.max_seconds / settings.rounds,
    )


def _end_to_end(process: Process, settings: Settings) -> Turn:
    """As many runs as the percentile needs, over all rounds."""
    runs = math.ceil(fewest_runs(settings.percentile) / settings.rounds)
    limit = settings.max_seconds / settings.rounds
    return lambda: _sample(process, "end_to_end", runs, 0.0, _SETTLE_SECONDS, limit)


def _sample(
    process: Process, what: str, runs: int, seconds: float, settle: float, limit: float
) -> list[float]:
    answer = process.ask(
        do="sample",
        what=what,
        min_runs=runs,
        min_seconds=seconds,
        settle_seconds=settle,
        max_seconds=min(limit, 1e9),
    )
    return [float(value) for value in answer["samples_ms"]]
