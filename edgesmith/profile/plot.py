"""A profile as pictures: where the time goes, one inference in time, and two side by side."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edgesmith.profile.compare import Comparison
from edgesmith.profile.summary import Summary, top

# More would not be readable; the JSON has all.
_LAYERS = 20


def where_png(found: Summary) -> bytes:
    """PNG of the time by operator type (with what is no operator's) beside the slowest layers."""
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 9}):
        slowest = top(found, _LAYERS)
        figure = Figure(
            figsize=(13, 1.8 + 0.22 * max(len(slowest), 8)), dpi=110, layout="constrained"
        )
        figure.suptitle(
            f"{found.subject.label} ({found.subject.precision}) on {found.engine}: "
            f"{found.run_ms:.3f} ms per inference"
        )
        left, right = figure.subplots(1, 2, width_ratios=[2, 3])
        rows = [
            *((op, time.ms, f"{time.launches}×") for op, time in found.ops.items()),
            *((name, value, "overhead") for name, value in found.overhead_ms.items()),
        ]
        _bars(left, rows[:_LAYERS], found.run_ms, len(found.ops))
        left.set_title("by operator type", fontsize=9)
        _bars(
            right,
            [(f"{layer.name}  {layer.op} {layer.shape}"[-60:], layer.ms, "") for layer in slowest],
            found.run_ms,
            len(slowest),
        )
        right.set_title(f"slowest {len(slowest)} of {len(found.layers)} layers", fontsize=9)
        return _png(figure)


def timeline_png(found: Summary) -> bytes:
    """PNG of the median inference: each kernel where it ran, one row per operator type."""
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 9}):
        rows = {op: number for number, op in enumerate(found.ops)}
        figure = Figure(figsize=(13, 1.5 + 0.28 * (len(rows) + 1)), dpi=110, layout="constrained")
        axes = figure.subplots()
        end = max((bar.start_ms + bar.ms for bar in found.timeline), default=found.run_ms)
        for bar in found.timeline:
            for row in (rows[bar.op], len(rows)):
                axes.barh(
                    row,
                    bar.ms,
                    left=bar.start_ms,
                    height=0.8,
                    color=f"C{rows[bar.op] % 10}",
                    edgecolor="white",
                    linewidth=0.3,
                )
        axes.set_yticks([*rows.values(), len(rows)], [*rows, "all"], fontsize=7)
        axes.invert_yaxis()
        axes.set_xlim(0, end * 1.01)
        axes.set_xlabel("ms from the start of the inference; white is no kernel")
        axes.set_title(
            f"{found.subject.label} on {found.engine}: the median inference, "
            f"{len(found.timeline)} kernels",
            fontsize=9,
        )
        return _png(figure)


def against_png(pair: Comparison) -> bytes:
    """PNG of paired bars: families of operators, and the matched layers that differ most."""
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 9}):
        shown = sorted(pair.layers, key=lambda layer: -abs(layer.saved_ms))[:_LAYERS]
        figure = Figure(figsize=(13, 1.8 + 0.3 * max(len(shown), 8)), dpi=110, layout="constrained")
        figure.suptitle(f"{pair.first} against {pair.second}, profiled in turns")
        left, right = figure.subplots(1, 2, width_ratios=[2, 3])
        groups = list(pair.families.values())
        _pairs(left, [(g.title, g.first_ms, g.second_ms) for g in groups], pair)
        _pairs(
            right, [(layer.first[-40:], layer.first_ms, layer.second_ms) for layer in shown], pair
        )
        left.set_title("by kind of work", fontsize=9)
        right.set_title("matched layers that differ most", fontsize=9)
        left.legend(fontsize=7)
        return _png(figure)


def _bars(axes: Axes, rows: Sequence[tuple[str, float, str]], total: float, kernels: int) -> None:
    colours = ["C0" if number < kernels else "C7" for number in range(len(rows))]
    bars = axes.barh(range(len(rows)), [ms for _, ms, _ in rows], color=colours, alpha=0.6)
    labels = [f"{ms:.3f} ms, {ms / total:.1%} {note}".strip() for _, ms, note in rows]
    axes.bar_label(bars, labels, padding=3, fontsize=7)
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows], fontsize=7)
    axes.invert_yaxis()
    axes.margins(x=0.35)
    axes.set_xlabel("ms")
    axes.grid(alpha=0.3, axis="x")


def _pairs(axes: Axes, rows: Sequence[tuple[str, float, float]], pair: Comparison) -> None:
    places = range(len(rows))
    for shift, column, name in ((-0.2, 1, pair.first), (0.2, 2, pair.second)):
        values = [float(row[column]) for row in rows]
        bars = axes.barh([p + shift for p in places], values, height=0.38, alpha=0.7, label=name)
        axes.bar_label(bars, [f"{value:.3f}" for value in values], padding=3, fontsize=6)
    axes.set_yticks(places, [row[0] for row in rows], fontsize=7)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel("ms")
    axes.grid(alpha=0.3, axis="x")


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    # Without a fixed value matplotlib writes its version, and the file differs between hosts.
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
