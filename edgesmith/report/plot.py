"""The comparison as one picture."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib
from matplotlib.figure import Figure

from edgesmith.report.cells import Cell
from edgesmith.report.compare import families


def strategies_png(cells: Sequence[Cell]) -> bytes:
    """PNG of accuracy (with its 95 % interval) over p50 latency; areas follow file sizes.

    Only cells measured on this machine have a place on the latency axis. The same cells give the
    same bytes.
    """
    measured = [cell for cell in cells if cell.bench]
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 9}):
        figure = Figure(figsize=(9, 5.5), dpi=110, layout="constrained")
        axes = figure.add_subplot()
        axes.set_xlabel("latency p50, ms (batch 1)")
        axes.set_ylabel("top-1, % (bar: 95 % interval)")
        axes.set_title("Accuracy and latency; area: file size")
        axes.grid(alpha=0.3)
        for number, (baseline, members) in enumerate(families(measured).items()):
            _scatter(axes, members, baseline, f"C{number}")
        if measured:
            axes.margins(x=0.18, y=0.12)
            axes.legend(loc="lower right", title="baseline")
        else:
            axes.text(0.5, 0.5, "nothing was measured on this machine", ha="center")
        stream = io.BytesIO()
        # Without a fixed value matplotlib writes its version, and the file differs between hosts.
        figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def _scatter(axes: matplotlib.axes.Axes, cells: Sequence[Cell], label: str, colour: str) -> None:
    latency = [cell.bench.latency_ms.p50 for cell in cells if cell.bench]
    value = [100 * cell.accuracy.value for cell in cells]
    below = [100 * (cell.accuracy.value - cell.accuracy.value_ci95.low) for cell in cells]
    above = [100 * (cell.accuracy.value_ci95.high - cell.accuracy.value) for cell in cells]
    axes.errorbar(latency, value, yerr=[below, above], fmt="none", ecolor=colour, alpha=0.4)
    area = [30 + 40 * cell.accuracy.size_bytes / 1e6 for cell in cells]
    axes.scatter(latency, value, s=area, color=colour, alpha=0.6, label=label)
    # Neighbours in latency put their names above and below in turn, or they cover each other.
    order = sorted(range(len(cells)), key=lambda index: latency[index])
    for turn, index in enumerate(order):
        axes.annotate(
            cells[index].name,
            (latency[index], value[index]),
            xytext=(7, 9 if turn % 2 else -13),
            textcoords="offset points",
            fontsize=7,
            color=colour,
        )
