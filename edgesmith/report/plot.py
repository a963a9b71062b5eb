"""The comparison as one picture."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib
from matplotlib.figure import Figure

from edgesmith.report.accuracy import METRICS
from edgesmith.report.cells import Cell
from edgesmith.report.compare import families
from edgesmith.report.labels import Label, place


def strategies_png(cells: Sequence[Cell]) -> bytes:
    """PNG of accuracy (with its 95 % interval) over p50 latency; areas follow file sizes.

    One panel per format. Only cells measured on this machine have a place on the latency axis. The
    same cells give the same bytes.
    """
    measured = [cell for cell in cells if cell.bench]
    panels = sorted({cell.format for cell in measured}, key=lambda name: (name != "onnx", name))
    rows = max(1, len(panels))
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 9}):
        figure = Figure(figsize=(9, 1 + 4.5 * rows), dpi=110, layout="constrained")
        # One scale for all: what is faster in another format lies farther left.
        grid = figure.subplots(rows, squeeze=False, sharex=True, sharey=True)[:, 0]
        grid[0].set_title("Accuracy and latency; area: file size")
        grid[-1].set_xlabel("latency p50, ms (batch 1)")
        colours = {name: f"C{number}" for number, name in enumerate(families(measured))}
        for axes, panel in zip(grid, panels, strict=False):
            shown = {METRICS[cell.accuracy.metric] for cell in measured if cell.format == panel}
            metric = " or ".join(sorted(shown, reverse=True))
            axes.set_ylabel(f"{panel}: {metric}, % (bar: 95 % interval)")
            axes.grid(alpha=0.3)
            for baseline, members in families([c for c in measured if c.format == panel]).items():
                _scatter(axes, members, baseline, colours[baseline])
            axes.margins(x=0.25, y=0.12)
            axes.legend(loc="lower right", title="baseline")
        for axes, panel in zip(grid, panels, strict=False):
            place(figure, axes, (_label(cell) for cell in measured if cell.format == panel))
        if not measured:
            grid[0].text(0.5, 0.5, "nothing was measured on this machine", ha="center")
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


def _label(cell: Cell) -> Label:
    assert cell.bench  # noqa: S101 - what was not measured has no place in the plot
    return Label(cell.bench.latency_ms.p50, 100 * cell.accuracy.value, cell.variant)
