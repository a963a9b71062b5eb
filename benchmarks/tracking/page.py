"""The table and the plot of docs/tracking.md."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib
from matplotlib.figure import Figure

from benchmarks.tracking.compare import Comparison, Row
from edgesmith.report.markdown import table

_HEADERS = (
    "detector runs", "frames detected", "CPU, ms/frame", "CPU saved", "IDF1", "MOTA",
    "switches", "misses", "false",
)  # fmt: skip


def lines(comparisons: Sequence[Comparison]) -> list[str]:
    """A heading, what was measured and a table for each artifact."""
    found: list[str] = []
    for one in comparisons:
        first = one.rows[0]
        found += [
            f"**{one.artifact}**, {one.engine}, one thread; {len(one.seeds)} films of "
            f"{one.seconds:g} s, {one.size[0]}×{one.size[1]} (seeds "
            f"{', '.join(map(str, one.seeds))}), {first.signs} signs to find in "
            f"{first.frames} frames.",
            "",
            *table(_HEADERS, [_cells(row, first) for row in one.rows]),
            "",
        ]
    return found[:-1]


def _cells(row: Row, first: Row) -> tuple[str, ...]:
    change = (
        ("", "")
        if row is first
        else (f" ({row.idf1 - first.idf1:+.1f})", f" ({row.mota - first.mota:+.1f})")
    )
    return (
        row.policy,
        f"{100 * row.share:.1f} %",
        f"{row.cpu_ms:.2f}",
        "" if row is first else f"{100 * (1 - row.cpu_ms / first.cpu_ms):.0f} %",
        f"{row.idf1:.1f}{change[0]}",
        f"{row.mota:.1f}{change[1]}",
        str(row.switches),
        str(row.misses),
        str(row.false_positives),
    )


def quality_png(comparisons: Sequence[Comparison]) -> bytes:
    """PNG of IDF1 and MOTA against the share of frames detected; the same rows, the same bytes."""
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 8}):
        figure = Figure(figsize=(7, 3.2), dpi=100, layout="constrained")
        panels = figure.subplots(1, 2, sharex=True)
        for axes, name in zip(panels, ("idf1", "mota"), strict=True):
            for number, one in enumerate(comparisons):
                fixed = [
                    row for row in one.rows if row.policy != "adaptive" and row.carrier == "flow"
                ]
                colour = f"C{number}"
                axes.plot(
                    [100 * row.share for row in fixed],
                    [getattr(row, name) for row in fixed],
                    "o-",
                    color=colour,
                    label=f"{one.artifact}, every n-th",
                )
                for row in one.rows:
                    if row.policy == "adaptive":
                        where = (100 * row.share, getattr(row, name))
                        axes.plot(*where, "*", markersize=11, color=colour, label="adaptive")
                top = getattr(one.rows[0], name)
                axes.axhspan(top - 2, top, color=colour, alpha=0.08)
            axes.axvline(30, color="grey", linewidth=0.8, linestyle="--")
            axes.set_ylabel(f"{name.upper()}, %")
            axes.set_xlabel("frames detected, % (log); dashed: 70 % less")
            axes.set_xscale("log")
            axes.set_xticks([15, 20, 30, 50, 100], ["15", "20", "30", "50", "100"])
            axes.minorticks_off()
            axes.grid(alpha=0.3)
        panels[0].legend(loc="lower right")
        stream = io.BytesIO()
        # Without a fixed value matplotlib writes its version, and the file differs between hosts.
        figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
