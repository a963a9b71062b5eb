"""Networks measured in turns in one run.

MLPerf's rules in small: a fresh process per network, warm-up until steady, a minimum of runs *and*
of time. Clocks drift and neighbours come and go, so a ratio of two figures measured minutes apart
says little; here the networks take turns, only one running at any time, and each round gives one
ratio. What a process has for as long as it lives (its place in memory, say) no number of runs
averages out: every round has processes of its own.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from edgesmith.bench import statistics as stats
from edgesmith.bench.crew import Crew, middle, sample
from edgesmith.bench.frame import camera_frame
from edgesmith.bench.process import Loadable, Process, Settings
from edgesmith.device.sensors.conditions import Conditions
from edgesmith.device.sensors.recorder import Recorder
from edgesmith.intervals import Interval

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

    `loaded` and `warm` are of all rounds' processes: medians, and steady where each was; `rss_mb`
    is the most of them. `samples_ms` and `end_to_end_ms` are by network and round, the latter empty
    for networks of which it was not taken. `conditions` are of the rounds, and of power and energy
    of each network's own stretch; empty without a recorder.
    """

    loaded: list[dict[str, Any]]
    warm: list[dict[str, Any]]
    samples_ms: list[list[list[float]]]
    rss_mb: list[float]
    end_to_end_ms: list[list[list[float]]]
    throttling: Throttling = Throttling()
    conditions: Sequence[Conditions] = ()

    def all_ms(self, network: int) -> list[float]:
        """The samples of one network over all rounds, in order."""
        return [value for turn in self.samples_ms[network] for value in turn]

    def all_end_to_end_ms(self, network: int) -> list[float]:
        """The same of the end-to-end figure."""
        return [value for turn in self.end_to_end_ms[network] for value in turn]

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


def take_turns(
    networks: Sequence[Loadable],
    settings: Settings,
    frame: bytes | None = None,
    recorder: Recorder | None = None,
    of_all: bool = False,
    judged: int | None = None,
) -> Turns:
    """Measure networks in turns, each in a process of its own, `fresh` in every round or kept.

    `frame` is the encoded image of the end-to-end figure (default: `camera_frame()`), which is
    taken in every round, of the first network alone or `of_all` that have it, as power is.
    `recorder` is running; idle power is measured first where it has a sensor of power. The figures
    of the first `judged` networks (default: all) are what is asked for: while theirs may come out
    differently again, there are more rounds, up to `settings.max_rounds`.
    """
    frame = camera_frame() if frame is None else frame
    idle_w = recorder.idle_power(_POWER_SECONDS) if recorder else None
    with Crew(networks, settings, frame, of_all) as crew:
        since = recorder.look().seconds if recorder else 0.0
        taken, throttling = _rounds(crew, settings, recorder, judged or len(networks))
        conditions: list[Conditions] = []
        if recorder:
            meanwhile = recorder.conditions(since, recorder.look().seconds)
            conditions = [
                _with_power(meanwhile, recorder, process if number == 0 or of_all else None, idle_w)
                for number, process in enumerate(crew.processes)
            ]
        crew.finish()
    count = len(networks)
    return Turns(
        loaded=[middle(answers, "load_ms", "first_ms") for answers in crew.loaded],
        warm=[
            middle(answers, "runs") | {"steady": all(answer["steady"] for answer in answers)}
            for answers in crew.warm
        ],
        samples_ms=taken[:count],
        end_to_end_ms=taken[count:],
        rss_mb=[max(found) for found in crew.rss_mb],
        throttling=throttling,
        conditions=conditions,
    )


def _rounds(
    crew: Crew, settings: Settings, recorder: Recorder | None, judged: int
) -> tuple[list[list[list[float]]], Throttling]:
    """All rounds; those that throttled are repeated once, after one pause for all of them.

    There are more, half as many at a time, while the first `judged` networks want them.
    """
    rows: list[list[list[float]]] = []
    slow: list[int] = []
    wanted = settings.rounds
    while len(rows) < wanted:
        row, throttled = _round(crew, len(rows), recorder)
        if throttled:
            slow.append(len(rows))
        rows.append(row)
        if len(rows) == wanted and _undecided(rows, settings, judged):
            wanted = min(wanted + max(settings.rounds // 2, 1), settings.max_rounds)
    replaced: list[list[list[float]]] = []
    if slow:
        time.sleep(COOL_DOWN_SECONDS)
    for number in slow:
        row, throttled = _round(crew, number, recorder)
        if not throttled:
            replaced.append(rows[number])
            rows[number] = row
    networks = range(len(rows[0]))
    taken = [[row[network] for row in rows] for network in networks]
    if not slow:
        return taken, Throttling()
    kept = [[row[network] for row in replaced] for network in networks]
    return taken, Throttling(len(slow), len(replaced), kept)


def _undecided(rows: Sequence[Sequence[Sequence[float]]], settings: Settings, judged: int) -> bool:
    """Whether another measurement may differ for one of the networks, and time is left for more."""
    if len(rows) >= settings.max_rounds:
        return False
    for network in range(judged):
        rounds = [row[network] for row in rows]
        if sum(map(sum, rounds)) < 1000 * settings.max_seconds and stats.is_noisy(rounds):
            return True
    return False


def _round(crew: Crew, number: int, recorder: Recorder | None) -> tuple[list[list[float]], bool]:
    """The samples of one round, and whether a sensor says that the machine throttled."""
    crew.ready()
    if recorder is None:
        return crew.turns(number), False
    since = recorder.look().seconds
    row = crew.turns(number)
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
    frames = len(sample(process, "infer", 1, _POWER_SECONDS, 0.0, math.inf))
    own = recorder.conditions(since, recorder.look().seconds, frames, idle_w)
    measured = ("power_w", "idle_power_w", "energy_mj_per_frame", "fps_per_watt")
    return conditions.model_copy(update={field: getattr(own, field) for field in measured})
