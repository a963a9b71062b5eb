"""Sensitivity as one picture: the worst layers, and the rungs of the ladder."""

from __future__ import annotations

import io

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edgesmith.report.sensitivity import Ladder, Sensitivity

# More would not be readable; the JSON has all.
_SHOWN = 24


def sensitivity_png(record: Sensitivity) -> bytes:
    """PNG of the logits' SQNR per layer, worst first, beside the rungs if there was a ladder.

    The same record gives the same bytes.
    """
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 9}):
        count = min(_SHOWN, len(record.layers))
        width = 12.5 if record.ladder else 8
        figure = Figure(figsize=(width, 1.6 + 0.22 * max(count, 8)), dpi=110, layout="constrained")
        ratios = [3, 2] if record.ladder else [1]
        axes = figure.subplots(1, len(ratios), squeeze=False, width_ratios=ratios)[0]
        _layers(axes[0], record)
        if record.ladder:
            _rungs(axes[1], record.ladder)
        stream = io.BytesIO()
        # Without a fixed value matplotlib writes its version, and the file differs between hosts.
        figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def _layers(axes: Axes, record: Sensitivity) -> None:
    shown = list(record.layers.items())[:_SHOWN]
    levels = [level.sqnr_db for _, level in shown]
    bars = axes.barh(range(len(shown)), levels, color="C0", alpha=0.6)
    labels = [
        f"{level.sqnr_db:.1f} dB" + (f", {level.agreement:.1%} agree" * (level.agreement < 1))
        for _, level in shown
    ]
    axes.bar_label(bars, labels, padding=3, fontsize=7)
    axes.set_yticks(range(len(shown)), [name for name, _ in shown], fontsize=7)
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.set_xlabel("signal-to-noise ratio of the logits, dB (short: sensitive)")
    rest = len(record.layers) - len(shown)
    axes.set_title(
        f"{record.variant}: one layer in 8 bits, the rest in float, {record.images} images"
        + (f"; {rest} better layers not shown" if rest else "")
        + (f"; {len(record.float_layers)} stay float" if record.float_layers else ""),
        fontsize=8,
    )
    axes.grid(alpha=0.3, axis="x")


def _rungs(axes: Axes, ladder: Ladder) -> None:
    names = list(ladder.rungs)
    for place, (name, rung) in enumerate(ladder.rungs.items()):
        if rung.drop is None:
            axes.text(0, place, f" {rung.left_out}", va="center", fontsize=7)
            continue
        colour = "C2" if name == ladder.taken else "C3"
        axes.plot(100 * rung.drop, place, "o", color=colour)
        text = f"{100 * (rung.accuracy or 0):.2f} %" + (f", {rung.layer}" if rung.layer else "")
        axes.annotate(
            text, (100 * rung.drop, place), xytext=(6, 4), textcoords="offset points", fontsize=7
        )
    axes.axvline(100 * ladder.max_drop, color="0.4", linestyle="--", label="max_drop")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(max(len(names), 4) - 0.5, -0.8)
    axes.margins(x=0.35)
    axes.set_xlabel("accuracy below FP32, points of the val split")
    axes.set_title(f"Rungs; taken: {ladder.taken} (FP32 {ladder.fp32:.2%})", fontsize=8)
    axes.legend(loc="lower right", fontsize=7)
    axes.grid(alpha=0.3)
