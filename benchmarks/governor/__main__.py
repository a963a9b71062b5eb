"""`python -m benchmarks.governor`: the governor on simulated devices, into docs/images."""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

import matplotlib
from matplotlib.figure import Figure

from edgesmith import files
from edgesmith.serve.governor import Governor, Level, Limits, ladder
from edgesmith.serve.governor.plant import Plant

PLOT = Path("docs/images/governor.png")
RUNGS = ladder([((128, 128), 0.6)], [("a smaller network", 0.3)])
_COSTS = {(rung.size, rung.artifact): rung.cost for rung in RUNGS}


class Case(NamedTuple):
    """A device and how long it is watched."""

    words: str
    plant: Plant
    minutes: int


class Trace(NamedTuple):
    """Minutes, °C and share of full work in every second."""

    minutes: list[float]
    celsius: list[float]
    shares: list[float]


def cases() -> list[Case]:
    """A warm room, a hot box, and one in which even the least work is too much."""
    return [
        Case("no fan, 25 °C around it", Plant(ambient_c=25.0), 60),
        Case("no fan, 42 °C around it", Plant(ambient_c=42.0), 60),
        Case("20 W, no fan, 60 °C", Plant(ambient_c=60.0, idle_w=0.5, load_w=20.0), 60),
    ]


def simulate(case: Case) -> Trace:
    """One step of governor and device a second."""
    governor = Governor(RUNGS)
    celsius = case.plant.run(0.0, 0.001)
    trace = Trace([], [], [])
    for second in range(60 * case.minutes):
        share = _share(governor.step(celsius, float(second)))
        celsius = case.plant.run(share, 1.0)
        trace.minutes.append(second / 60)
        trace.celsius.append(celsius)
        trace.shares.append(share)
    return trace


def _share(level: Level) -> float:
    return 0.0 if level.stop else _COSTS[level.size, level.artifact] / level.skip


def governor_png(found: list[Case]) -> bytes:
    """PNG of temperature and work over time; the same cases give the same bytes."""
    limits = Limits()
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 8}):
        figure = Figure(figsize=(7, 4), dpi=100, layout="constrained")
        panels = figure.subplots(2, len(found), sharex=True, sharey="row")
        for column, case in enumerate(found):
            trace = simulate(case)
            top, below = panels[0][column], panels[1][column]
            top.set_title(case.words, fontsize=8)
            top.plot(trace.minutes, trace.celsius, color="C3", linewidth=1)
            for value in (limits.resume_c, limits.full_c, limits.floor_c, limits.critical_c):
                top.axhline(value, color="grey", linewidth=0.6, linestyle="--")
            below.plot(trace.minutes, [100 * share for share in trace.shares], linewidth=1)
            below.set_ylim(-5, 105)
            below.set_xlabel("minutes")
            for axes in (top, below):
                axes.grid(alpha=0.3)
        panels[0][0].set_ylabel("chip, °C")
        panels[1][0].set_ylabel("work, % of full")
        stream = io.BytesIO()
        # Without a fixed value matplotlib writes its version, and the file differs between hosts.
        figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


if __name__ == "__main__":
    files.write_bytes(PLOT, governor_png(cases()))
    print(PLOT)
