"""The comparison as one picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.figure import Figure

from edgesmith.report.accuracy import METRICS
from edgesmith.report.cells import Cell
from edgesmith.report.compare import families
from edgesmith.report.labels import Label, place


def strategies_png(cells: Sequence[Cell]) -> bytes:
    """PNG of accuracy (with its 95 % interval) over p50 latency; areas follow file sizes.

    A row per format and a column per metric. Only cells measured on this machine have a place on
    the latency axis. The same cells give the same bytes.
    """
    measured = [cell for cell in cells if cell.bench]
    formats = sorted({cell.format for cell in measured}, key=lambda name: (name != "onnx", name))
    metrics = [name for name in METRICS if any(c.accuracy.metric == name for c in measured)]
    rows, columns = max(1, len(formats)), max(1, len(metrics))
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 9}):
        figure = Figure(figsize=(9 * columns, 1 + 4.5 * rows), dpi=110, layout="constrained")
        # One scale for a metric: what is faster in another format lies farther left.
        grid = figure.subplots(rows, columns, squeeze=False, sharex="col", sharey="col")
        figure.suptitle("Accuracy and latency; area: file size")
        colours = {name: f"C{number}" for number, name in enumerate(families(measured))}
        panels = [
            (grid[row, column], [c for c in measured if (c.format, c.accuracy.metric) == pair])
            for column, metric in enumerate(metrics)
            for row, name in enumerate(formats)
            if (pair := (name, metric))
        ]
        for axes, shown in panels:
            _draw(axes, shown, colours)
        for axes in grid[-1]:
            axes.set_xlabel("latency p50, ms (batch 1)")
        for axes, shown in panels:
            place(figure, axes, map(_label, shown))
        if not measured:
            grid[0, 0].text(0.5, 0.5, "nothing was measured on this machine", ha="center")
        stream = io.BytesIO()
        # Without a fixed value matplotlib writes its version, and the file differs between hosts.
        figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def _draw(axes: matplotlib.axes.Axes, cells: Sequence[Cell], colours: Mapping[str, str]) -> None:
    """One panel; without frame where its format has no cell of its metric."""
    if not cells:
        axes.set_axis_off()
        return
    metric = METRICS[cells[0].accuracy.metric]
    axes.set_ylabel(f"{cells[0].format}: {metric}, % (bar: 95 % interval)")
    axes.grid(alpha=0.3)
    for baseline, members in families(cells).items():
        _scatter(axes, members, baseline, colours[baseline])
    axes.margins(x=0.25, y=0.12)
    axes.legend(loc="lower right", title="baseline")


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
