"""The curves of a long run as one picture (host: needs matplotlib)."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edgesmith.soak.rows import Recording, Row
from edgesmith.soak.summary import first_minute, last_third

_CURVES: tuple[tuple[str, str, Callable[[Row], float | None]], ...] = (
    ("temperature", "°C", lambda row: row.temperature_c),
    ("clock", "MHz", lambda row: row.clock_mhz),
    ("throughput", "inferences/s", lambda row: row.fps),
)


def soak_png(recording: Recording) -> bytes:
    """PNG of temperature, clock and throughput over time; throttled time is shaded.

    A quantity without a sensor says why in place of its curve. The same rows give the same bytes.
    """
    head, rows = recording
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 8}):
        figure = Figure(figsize=(7, 5.5), dpi=100, layout="constrained")
        panels = figure.subplots(len(_CURVES), 1, sharex=True)
        figure.suptitle(f"{head.variant}.{head.format}, {head.threads} thread(s), {head.runtime}")
        for axes, (quantity, unit, value) in zip(panels, _CURVES, strict=True):
            axes.set_ylabel(f"{quantity}, {unit}")
            _shade(axes, rows)
            known = [
                (row.elapsed_s / 60, found) for row in rows if (found := value(row)) is not None
            ]
            if known:
                axes.plot(*zip(*known, strict=True), color="C0", linewidth=1)
                axes.grid(alpha=0.3)
            else:
                reason = head.absent.get(quantity, "no reading")
                axes.text(
                    0.5,
                    0.5,
                    f"no {quantity}: {_short(reason)}",
                    ha="center",
                    va="center",
                    transform=axes.transAxes,
                )
                axes.set_yticks([])
        for phase, colour in ((first_minute(rows), "C2"), (last_third(rows), "C1")):
            start = phase[0].elapsed_s - phase[0].seconds
            panels[-1].axvspan(start / 60, phase[-1].elapsed_s / 60, color=colour, alpha=0.08)
        panels[-1].set_xlabel("minutes (green: first minute; orange: steady state; red: throttled)")
        panels[-1].set_ylim(bottom=0)
        stream = io.BytesIO()
        # Without a fixed value matplotlib writes its version, and the file differs between hosts.
        figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def _shade(axes: Axes, rows: Sequence[Row]) -> None:
    for row in rows:
        if row.throttled:
            start = (row.elapsed_s - row.seconds) / 60
            axes.axvspan(start, row.elapsed_s / 60, color="C3", alpha=0.15, linewidth=0)


def _short(reason: str, length: int = 90) -> str:
    return reason if len(reason) <= length else reason[: length - 1] + "…"
