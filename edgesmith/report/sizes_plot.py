"""Accuracy against latency of networks at several input sizes, as one picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from edgesmith.report.accuracy import METRICS
from edgesmith.report.labels import Label, place
from edgesmith.report.sizes import Line

# Networks of one format share its colour and are told apart by these.
_STYLES = (("-", "o"), ("--", "s"), (":", "^"), ("-.", "D"))


def sizes_png(found: Mapping[str, Sequence[Line]]) -> bytes:
    """PNG of a panel for each baseline: a line per network and format, its points named by size.

    Where nothing is resized, or nothing of it was measured here, it says so. The same lines give
    the same bytes.
    """
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 9}):
        rows = max(1, len(found))
        figure = Figure(figsize=(9, 0.5 + 5.5 * rows), dpi=110, layout="constrained")
        grid = figure.subplots(rows, squeeze=False)[:, 0]
        labels = [
            _panel(axes, baseline, lines)
            for axes, (baseline, lines) in zip(grid, found.items(), strict=False)
        ]
        for axes, names in zip(grid, labels, strict=False):
            place(figure, axes, names)
        if not any(labels):
            remark = "was measured on this machine" if found else "is in params.yaml: variants"
            grid[0].clear()
            grid[0].text(0.5, 0.5, f"no network of another input size {remark}", ha="center")
            grid[0].set_axis_off()
        stream = io.BytesIO()
        # Without a fixed value matplotlib writes its version, and the file differs between hosts.
        figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def _panel(axes: Axes, baseline: str, lines: Sequence[Line]) -> list[Label]:
    """Draw the lines; the names of their points."""
    formats = list(dict.fromkeys(line.format for line in lines))
    networks = list(dict.fromkeys(line.network for line in lines))
    metrics = dict.fromkeys(METRICS[p.cell.accuracy.metric] for line in lines for p in line.points)
    axes.set_title(f"Input sizes against {baseline}: accuracy and latency")
    axes.set_xlabel("latency p50, ms (batch 1)")
    axes.set_ylabel(f"{' or '.join(metrics)}, % (bar: 95 % interval)")
    # Time grows with the pixels, as the square of the size.
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 6, 8)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.grid(alpha=0.3)
    labels = []
    for line in lines:
        style, marker = _STYLES[networks.index(line.network) % len(_STYLES)]
        colour = f"C{formats.index(line.format)}"
        measured = [(p, p.cell.bench.latency_ms.p50) for p in line.points if p.cell.bench]
        if not measured:
            continue
        latency = [time for _, time in measured]
        records = [point.cell.accuracy for point, _ in measured]
        value = [100 * own.value for own in records]
        below = [100 * (own.value - own.value_ci95.low) for own in records]
        above = [100 * (own.value_ci95.high - own.value) for own in records]
        axes.errorbar(latency, value, yerr=[below, above], fmt="none", ecolor=colour, alpha=0.25)
        name = f"{line.format} {line.precision}: {line.network}"
        axes.plot(latency, value, linestyle=style, marker=marker, color=colour, label=name)
        labels += [
            Label(time, height, point.name, colour)
            for (point, time), height in zip(measured, value, strict=True)
        ]
    axes.margins(x=0.08)
    if labels:
        axes.legend(loc="best")
    return labels
